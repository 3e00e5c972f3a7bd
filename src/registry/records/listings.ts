import type { Digest } from "../../base/lib/ids.ts";
import type { RepositoryName, Tag } from "../names.ts";
import { type Records, repositoryId } from "./records.ts";

export interface RepositoryRecord {
  readonly name: RepositoryName;
  readonly description: string;
  /** Bytes of its blobs and manifests, each counted once. */
  readonly bytes: number;
  readonly updated: number;
}

/** Rows looked at for one answer: some tens of milliseconds, in which nobody else is served. */
const scanLimit = 20_000;
const batch = 500;

export interface RepositoryPage {
  readonly found: readonly RepositoryRecord[];
  /** Where the next page begins; undefined at the end. */
  readonly next: string | undefined;
}

/**
 * Repositories after `last` by name, only those that `readable` allows. Where few are readable a page may hold fewer than asked for, or none,
 * although there are more.
 */
export function listRepositories(
  records: Records,
  page: { readonly last: string; readonly limit: number; readonly match?: string | undefined },
  readable: (name: RepositoryName) => boolean,
): RepositoryPage {
  const found: RepositoryRecord[] = [];
  const pattern = `%${(page.match ?? "").replace(/[\\%_]/g, "\\$&")}%`;
  const query = records.db.query<RepositoryRecord, [string, string, number]>(
    `SELECT name, description, bytes, updated FROM repository
     WHERE name > ?1 AND (name LIKE ?2 ESCAPE '\\' OR description LIKE ?2 ESCAPE '\\') ORDER BY name LIMIT ?3`,
  );
  let { last } = page;
  for (let scanned = 0; ; ) {
    const rows = query.all(last, pattern, batch);
    for (const row of rows) {
      if (readable(row.name)) {
        if (found.length === page.limit) return { found, next: last };
        found.push(row);
      }
      last = row.name;
    }
    scanned += rows.length;
    if (rows.length < batch) return { found, next: undefined };
    if (scanned >= scanLimit) return { found, next: last };
  }
}

export interface TagRecord {
  readonly name: Tag;
  readonly digest: Digest;
  readonly updated: number;
}

/** Tags after `last` in the order of their bytes; undefined when there is no such repository. */
export function listTags(
  records: Records,
  name: RepositoryName,
  page: { readonly last: string; readonly limit: number },
): readonly TagRecord[] | undefined {
  const id = repositoryId(records, name);
  if (id === undefined) return undefined;
  return records.db
    .query<TagRecord, [number, string, number]>(
      "SELECT name, digest, updated FROM tag WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
    )
    .all(id, page.last, page.limit);
}

/** Bytes of all repositories whose name `matches` within the range of names that start with `prefix`. */
export function bytesUnder(
  records: Records,
  prefix: string,
  matches: (name: RepositoryName) => boolean,
): number {
  let sum = 0;
  const rows = records.db
    .query<Pick<RepositoryRecord, "name" | "bytes">, [string, string]>(
      "SELECT name, bytes FROM repository WHERE name >= ? AND name < ?",
    )
    .iterate(prefix, `${prefix}\u{10ffff}`);
  for (const row of rows) if (matches(row.name)) sum += row.bytes;
  return sum;
}

/** How much there is of everything, for the metrics. */
export function totals(records: Records): {
  readonly repositories: number;
  readonly blobs: number;
  readonly bytes: number;
} {
  const one = records.db
    .query<{ repositories: number; blobs: number; bytes: number }, []>(
      "SELECT repositories, blobs, bytes FROM total",
    )
    .get();
  return one ?? { repositories: 0, blobs: 0, bytes: 0 };
}
