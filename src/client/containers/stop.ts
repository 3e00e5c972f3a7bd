import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/stop */
export async function stopContainer(client: Client, id: string, options: StopOptions = {}): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(id)}/stop`,
    query: { t: options.timeout, signal: options.signal || undefined },
  });
}

/** How to stop: seconds until SIGKILL (-1: never) and the first signal; the container's own settings by default. */
export interface StopOptions {
  readonly timeout?: number | undefined;
  readonly signal?: string | undefined;
}
