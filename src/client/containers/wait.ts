import type { ContainerWaitResponse } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/**
 * POST /containers/{id}/wait. Resolves as soon as the daemon has registered the wait (it sends its head then);
 * the result is a promise of its own.
 */
export async function waitContainer(
  client: Client,
  id: string,
  condition: "not-running" | "next-exit" | "removed" = "not-running",
  signal?: AbortSignal,
): Promise<{ readonly result: Promise<ContainerWaitResponse> }> {
  const reply = await client.send({
    method: "POST",
    path: `/containers/${segment(id)}/wait`,
    query: { condition },
    signal,
  });
  const result = reply.body.text().then((text) => JSON.parse(text) as ContainerWaitResponse);
  result.catch(() => undefined); // the caller may come back to it after something else failed
  return { result };
}
