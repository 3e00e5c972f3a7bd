import { type Client, segment } from "../client.ts";

/** What the daemon says about a path in a container; `mode` has Go's os.FileMode bits. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

/** HEAD /containers/{id}/archive */
export async function statArchive(client: Client, id: string, path: string): Promise<PathStat> {
  const reply = await client.send({
    method: "HEAD",
    path: `/containers/${segment(id)}/archive`,
    query: { path },
  });
  return decodeStat(reply.headers["x-docker-container-path-stat"]);
}

/** Decodes the X-Docker-Container-Path-Stat header: JSON in base64. */
export function decodeStat(header: string | undefined): PathStat {
  return JSON.parse(Buffer.from(header ?? "", "base64").toString()) as PathStat;
}
