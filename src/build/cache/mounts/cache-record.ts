import { createHash } from "node:crypto";

/** What is kept with a cache mount's directory, in `cache.json` beside it. */
export interface CacheRecord {
  /** As RUN names it: `--mount=type=cache,id=`. */
  readonly id: string;
  /** What it began with: key of a result and path in it; "" for an empty directory. */
  readonly base: string;
  /** Of an empty one's top directory; another mode is another cache, as in BuildKit. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** As `builder du` shows it. */
  readonly description: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly lastUsed: number;
  /** How many steps have had it. */
  readonly uses: number;
  /** Bytes on disk, when they were counted after its last use. */
  readonly size?: number;
}

/** What tells one cache from another. */
export type CacheIdentity = Pick<CacheRecord, "id" | "base" | "mode" | "uid" | "gid">;

/** A directory name: ids are anything, "../.." too. */
export function cacheKey({ id, base, mode, uid, gid }: CacheIdentity): string {
  const decides = base === "" ? { id, mode, uid, gid } : { id, base };
  return createHash("sha256").update(JSON.stringify(decides)).digest("hex").slice(0, 40);
}

/** Undefined for what is none: a crash tore it, or somebody else put it there. */
export function parseCacheRecord(text: string): CacheRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const record = value as Record<string, unknown>;
  const texts = ["id", "base", "description"].every((name) => typeof record[name] === "string");
  const numbers = ["mode", "uid", "gid", "created", "lastUsed", "uses"];
  return texts && numbers.every((name) => Number.isSafeInteger(record[name]))
    ? (record as unknown as CacheRecord)
    : undefined;
}
