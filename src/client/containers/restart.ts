import { type Client, segment } from "../client.ts";
import type { StopOptions } from "./stop.ts";

/** POST /containers/{id}/restart */
export async function restartContainer(client: Client, id: string, options: StopOptions = {}): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(id)}/restart`,
    query: { t: options.timeout, signal: options.signal || undefined },
  });
}
