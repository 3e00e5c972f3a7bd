import { messageOf, TugError } from "../../base/lib/errors.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import { type Client, segment } from "../client.ts";

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
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(header ?? "", "base64").toString());
  } catch (cause) {
    throw undecodable(messageOf(cause), cause);
  }
  if (typeof value !== "object" || value === null) throw undecodable("not an object");
  const { name, size, mode, mtime, linkTarget } = value as Partial<Record<keyof PathStat, unknown>>;
  const texts = [name, mtime, linkTarget ?? ""].every((each) => typeof each === "string");
  if (!texts || typeof size !== "number" || typeof mode !== "number")
    throw undecodable("a member is missing");
  return { name: String(name), size, mode, mtime: String(mtime), linkTarget: String(linkTarget ?? "") };
}

function undecodable(why: string, cause?: unknown): TugError {
  return new TugError("unavailable", `unable to decode container path stat header: ${why}`, { cause });
}
