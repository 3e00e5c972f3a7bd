import type { Digest } from "../../base/lib/ids.ts";
import { atomically, type Records } from "./records.ts";

/** A place in the order of a table's keys. */
export interface Cursor {
  readonly repository: number;
  readonly digest: string;
}
export const start: Cursor = { repository: -1, digest: "" };

/** Rows judged at once: some milliseconds, in which nobody else is served. */
const windowSize = 500;

interface Window<T> {
  readonly rows: readonly T[];
  /** Where the next window begins; undefined at the end. */
  readonly next: Cursor | undefined;
}

interface Row {
  readonly repository: number;
  readonly digest: Digest;
  readonly size: number;
  readonly garbage: number;
}

/**
 * Begins a pass. A dry run notes what it would delete in tables of this connection alone; the same questions are asked then, and what is
 * noted counts as gone. A real run deletes, and the notes stay empty.
 */
export function beginPass(records: Records): void {
  records.db.run(`
    CREATE TEMP TABLE IF NOT EXISTS doomed_manifest (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    CREATE TEMP TABLE IF NOT EXISTS doomed_link (repository INTEGER, digest TEXT, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
    DELETE FROM doomed_manifest;
    DELETE FROM doomed_link;
  `);
}

/**
 * Deletes manifests that are old, carry no tag, are in no index and are not about a manifest that is here. Returns what went; an index that
 * went makes its entries garbage for the next pass.
 */
export function sweepManifests(records: Records, cutoff: number, from: Cursor, dryRun: boolean): Window<Row> {
  const unneeded = `NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository = m.repository AND t.digest = m.digest)
    AND (m.subject IS NULL OR m.subject = m.digest
      OR NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repository = m.repository AND s.digest = m.subject)
      OR EXISTS (SELECT 1 FROM doomed_manifest d WHERE d.repository = m.repository AND d.digest = m.subject))`;
  return sweepOld(records, unneeded, cutoff, from, dryRun);
}

/**
 * Deletes manifests of a cache that nobody has asked for since `cutoff`, with their tags: upstream still has them. `prefix` names the cache's
 * repositories, "" all of them. What an index that stays names stays as well.
 */
export function sweepUnused(
  records: Records,
  prefix: string,
  cutoff: number,
  from: Cursor,
  dryRun: boolean,
): Window<Row> {
  // "0" is the character behind "/". The prefix was checked when the configuration was read; only names get into the text.
  const name = prefix.replace(/[^a-z0-9._/-]/g, "");
  const inside = name === "" ? "1" : `r.name >= '${name}/' AND r.name < '${name}0'`;
  const cached = `EXISTS (SELECT 1 FROM repository r WHERE r.id = m.repository AND ${inside})`;
  return sweepOld(records, cached, cutoff, from, dryRun);
}

/** Deletes the manifests `m` that are old, that no manifest which stays names, and for which `condition` holds. */
function sweepOld(
  records: Records,
  condition: string,
  cutoff: number,
  from: Cursor,
  dryRun: boolean,
): Window<Row> {
  return sweep(
    records,
    from,
    `SELECT m.repository, m.digest, m.size,
       m.pushed < ?3 AND ${condition}
       AND NOT EXISTS (SELECT 1 FROM doomed_manifest d WHERE d.repository = m.repository AND d.digest = m.digest)
       AND NOT EXISTS (SELECT 1 FROM reference r WHERE r.repository = m.repository AND r.target = m.digest
         AND NOT EXISTS (SELECT 1 FROM doomed_manifest d WHERE d.repository = r.repository AND d.digest = r.manifest)) AS garbage
     FROM (SELECT * FROM manifest WHERE (repository, digest) > (?1, ?2) ORDER BY repository, digest LIMIT ${windowSize}) m`,
    cutoff,
    dryRun
      ? "INSERT INTO doomed_manifest (repository, digest) VALUES (?, ?)"
      : "DELETE FROM manifest WHERE repository = ? AND digest = ?",
  );
}

/** Deletes links that are old and that no manifest of their repository needs. */
export function sweepLinks(records: Records, cutoff: number, from: Cursor, dryRun: boolean): Window<Row> {
  return sweep(
    records,
    from,
    `SELECT l.repository, l.digest, l.size,
       l.linked < ?3
       AND NOT EXISTS (SELECT 1 FROM reference r WHERE r.repository = l.repository AND r.target = l.digest
         AND NOT EXISTS (SELECT 1 FROM doomed_manifest d WHERE d.repository = r.repository AND d.digest = r.manifest)) AS garbage
     FROM (SELECT * FROM link WHERE (repository, digest) > (?1, ?2) ORDER BY repository, digest LIMIT ${windowSize}) l`,
    cutoff,
    dryRun
      ? "INSERT INTO doomed_link (repository, digest) VALUES (?, ?)"
      : "DELETE FROM link WHERE repository = ? AND digest = ?",
  );
}

const blobIsGarbage = `
  b.added < ?3
  AND NOT EXISTS (SELECT 1 FROM link l WHERE l.digest = b.digest
    AND NOT EXISTS (SELECT 1 FROM doomed_link d WHERE d.repository = l.repository AND d.digest = l.digest))
  AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.digest = b.digest
    AND NOT EXISTS (SELECT 1 FROM doomed_manifest d WHERE d.repository = m.repository AND d.digest = m.digest))`;

/** Blobs that are old and in no repository. Nothing is deleted: `forgetBlobs` asks again under their locks. */
export function findBlobs(records: Records, cutoff: number, from: Cursor): Window<Row> {
  const rows = records.db
    .query<Row, [number, string, number]>(
      `SELECT ?1 AS repository, b.digest, b.size, ${blobIsGarbage} AS garbage
       FROM (SELECT * FROM blob WHERE digest > ?2 ORDER BY digest LIMIT ${windowSize}) b`,
    )
    .all(0, from.digest, cutoff);
  return windowOf(rows);
}

/** Takes those of the blobs that are still garbage out of the records, with one sync for them all; returns them. */
export function forgetBlobs(records: Records, digests: readonly Digest[], cutoff: number): readonly Digest[] {
  return atomically(records, () => {
    const judge = records.db.query<Pick<Row, "garbage">, [number, string, number]>(
      `SELECT ${blobIsGarbage} AS garbage FROM blob b WHERE ?1 = ?1 AND b.digest = ?2`,
    );
    const gone = digests.filter((digest) => judge.get(0, digest, cutoff)?.garbage === 1);
    const remove = records.db.query("DELETE FROM blob WHERE digest = ?");
    for (const digest of gone) remove.run(digest);
    return gone;
  });
}

/** Forgets repositories that hold nothing and have not been written to for a while, from one number on; returns where to go on. */
export function sweepRepositories(records: Records, cutoff: number, from: number): number | undefined {
  return atomically(records, () => {
    const rows = records.db
      .query<{ id: number; garbage: number }, [number, number]>(
        `SELECT id, updated < ?2 AND bytes = 0
           AND NOT EXISTS (SELECT 1 FROM link WHERE repository = id)
           AND NOT EXISTS (SELECT 1 FROM manifest WHERE repository = id) AS garbage
         FROM repository WHERE id > ?1 ORDER BY id LIMIT ${windowSize}`,
      )
      .all(from, cutoff);
    const remove = records.db.query("DELETE FROM repository WHERE id = ?");
    for (const row of rows) if (row.garbage === 1) remove.run(row.id);
    return rows.length === windowSize ? rows.at(-1)?.id : undefined;
  });
}

function sweep(records: Records, from: Cursor, select: string, cutoff: number, remove: string): Window<Row> {
  return atomically(records, () => {
    const rows = records.db
      .query<Row, [number, string, number]>(select)
      .all(from.repository, from.digest, cutoff);
    const found = windowOf(rows);
    const write = records.db.query(remove);
    for (const row of found.rows) write.run(row.repository, row.digest);
    return found;
  });
}

function windowOf(rows: readonly Row[]): Window<Row> {
  const last = rows.at(-1);
  return {
    rows: rows.filter((row) => row.garbage === 1),
    next:
      last && rows.length === windowSize ? { repository: last.repository, digest: last.digest } : undefined,
  };
}
