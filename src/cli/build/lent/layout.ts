import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { parseIndex } from "../../../base/spec/oci/parse.ts";

export const layoutPrefix = "oci-layout://";

/** "path[:tag][@digest]" of an OCI layout in a directory; without a digest its index says what the tag ("latest") means, or has one entry. */
export function readLayout(text: string): {
  readonly path: string;
  readonly tag: string;
  readonly digest: string;
} {
  const [before = "", pinned] = text.split("@", 2);
  const [, place = before, named] = /^(.*?):([\w][\w.-]*)$/.exec(before) ?? [];
  const path = resolve(place);
  const tag = named ?? "latest";
  if (pinned !== undefined) return { path, tag, digest: pinned };
  let manifests: ReturnType<typeof parseIndex>["manifests"];
  try {
    manifests = parseIndex(readFileSync(join(path, "index.json"))).manifests;
  } catch (error) {
    throw invalid(`${place} is no OCI layout: ${messageOf(error)}`, error);
  }
  const found = manifests.find((entry) => {
    const name = entry.annotations?.["org.opencontainers.image.ref.name"];
    return name === tag || name?.endsWith(`:${tag}`);
  });
  const only = named === undefined && manifests.length === 1 ? manifests[0] : undefined;
  const digest = (found ?? only)?.digest;
  if (digest === undefined) throw invalid(`the OCI layout ${place} has no image of the tag ${tag}`);
  return { path, tag, digest };
}
