import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import { type Client, segment } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";
import { decodeStat } from "./archive-stat.ts";

/** GET /containers/{id}/archive: a tar of one path; its stat is in the head. */
export async function getArchive(
  client: Client,
  id: string,
  path: string,
  signal?: AbortSignal,
): Promise<{ readonly stat: PathStat; readonly reply: HttpReply }> {
  const reply = await client.send({
    method: "GET",
    path: `/containers/${segment(id)}/archive`,
    query: { path },
    signal,
  });
  return { stat: decodeStat(reply.headers["x-docker-container-path-stat"]), reply };
}
