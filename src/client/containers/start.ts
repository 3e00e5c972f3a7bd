import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/start */
export async function startContainer(
  client: Client,
  id: string,
  options: {
    readonly checkpoint?: string | undefined;
    readonly checkpointDir?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(id)}/start`,
    query: {
      checkpoint: options.checkpoint || undefined,
      "checkpoint-dir": options.checkpointDir || undefined,
    },
    signal: options.signal,
  });
}
