import type { ContainerStatsResponse } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";
import { jsonLines } from "../stream/json-lines.ts";

/** GET /containers/{id}/stats: samples as they come; one when `stream` is false. */
export async function containerStats(
  client: Client,
  id: string,
  options: {
    readonly stream: boolean;
    readonly oneShot?: boolean;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AsyncGenerator<ContainerStatsResponse, void, void>> {
  const reply = await client.send({
    method: "GET",
    path: `/containers/${segment(id)}/stats`,
    query: { stream: options.stream ? "1" : "0", "one-shot": options.oneShot },
    signal: options.signal,
  });
  return jsonLines(reply.body);
}
