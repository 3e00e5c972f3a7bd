import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TugError } from "../../../base/lib/errors.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { parseObject } from "../../../base/spec/oci/fields.ts";
import type { Index } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseDescriptor, parseIndex } from "../../../base/spec/oci/parse.ts";
import type { CacheEntry } from "../entries.ts";
import { readLayout } from "./layout.ts";

/** `--cache-from type=local,src=DIR`: its index says which manifest is meant, by `tag` ("latest"). A directory without one has no cache yet, as the builder tells. */
export function withDigest(entry: CacheEntry): CacheEntry {
  const { src, tag = "latest", digest } = entry.attrs;
  if (entry.type !== "local" || !src || digest !== undefined) return entry;
  try {
    return { ...entry, attrs: { ...entry.attrs, digest: readLayout(`${src}:${tag}`).digest } };
  } catch (error) {
    if (error instanceof TugError) return entry;
    throw error;
  }
}

const nameKey = "org.opencontainers.image.ref.name";

/** `--cache-to type=local,dest=DIR`: the builder has put the blobs there and tells the manifest, which the index then has under `tag`. */
export function noteCaches(entries: readonly CacheEntry[], response: Readonly<Record<string, string>>): void {
  const told = response["cache.manifest"];
  if (told === undefined) return;
  const manifest = parseDescriptor(parseObject(Buffer.from(told), "cache manifest", manifestLimit), "");
  for (const { type, attrs } of entries)
    if (type === "local" && attrs["dest"]) noteCache(attrs["dest"], attrs["tag"] || "latest", manifest);
}

function noteCache(directory: string, tag: string, manifest: Descriptor): void {
  const others = manifestsOf(directory).filter((entry) => entry.annotations?.[nameKey] !== tag);
  const index: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [...others, { ...manifest, annotations: { [nameKey]: tag } }],
  };
  writeWhole(join(directory, "oci-layout"), { imageLayoutVersion: "1.0.0" });
  writeWhole(join(directory, "index.json"), index);
}

/** Those that the directory has; what is no layout is made one. */
function manifestsOf(directory: string): Index["manifests"] {
  try {
    return parseIndex(readFileSync(join(directory, "index.json"))).manifests;
  } catch (error) {
    if (error instanceof TugError || (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function writeWhole(path: string, value: object): void {
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, JSON.stringify(value));
  renameSync(part, path);
}
