import { TugError } from "../../base/lib/errors.ts";
import type { CacheEntry } from "./entries.ts";
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
