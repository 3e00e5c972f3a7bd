import { type Client, segment } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";

/** GET /containers/{id}/export: a tar stream. */
export async function exportContainer(client: Client, id: string, signal?: AbortSignal): Promise<HttpReply> {
  return await client.send({ method: "GET", path: `/containers/${segment(id)}/export`, signal });
}
