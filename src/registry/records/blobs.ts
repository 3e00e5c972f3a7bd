import type { Digest } from "../../base/lib/ids.ts";
import type { BlobInfo } from "../../core/content/content.ts";
import type { RepositoryName } from "../names.ts";
import { atomically, ensureRepository, type Records, repositoryId } from "./records.ts";

interface LinkRow {
  readonly size: number;
  readonly linked: number;
}

/** The blob, if the repository has it. */
export function linkedBlob(
  records: Records,
  name: RepositoryName,
  digest: Digest,
): (BlobInfo & { readonly linked: number }) | undefined {
  const row = records.db
    .query<LinkRow, [string, string]>(
      "SELECT l.size, l.linked FROM link l JOIN repository r ON r.id = l.repository WHERE r.name = ? AND l.digest = ?",
    )
    .get(name, digest);
  return row ? { digest, ...row } : undefined;
}

/** Size of a blob that storage has, whichever repository it is in. */
export function storedBlob(records: Records, digest: Digest): BlobInfo | undefined {
  const row = records.db
    .query<{ size: number }, [string]>("SELECT size FROM blob WHERE digest = ?")
    .get(digest);
  return row ? { digest, size: row.size } : undefined;
}

/** Records that storage has `blob` and that the repository holds it; `admit` may refuse by throwing. */
export function linkBlob(
  records: Records,
  name: RepositoryName,
  blob: BlobInfo,
  admit: (added: number) => void = () => undefined,
): void {
  const now = records.clock.now();
  atomically(records, () => {
    const id = ensureRepository(records, name);
    if (!records.db.query("SELECT 1 FROM link WHERE repository = ? AND digest = ?").get(id, blob.digest)) {
      admit(blob.size);
    }
    recordStored(records, blob);
    records.db
      .query(
        "INSERT INTO link (repository, digest, size, linked) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET linked = ?4",
      )
      .run(id, blob.digest, blob.size, now);
  });
}

/** Notes that storage has the bytes; inside a transaction. */
export function recordStored(records: Records, blob: BlobInfo): void {
  records.db
    .query(
      "INSERT INTO blob (digest, size, added) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO UPDATE SET added = ?3",
    )
    .run(blob.digest, blob.size, records.clock.now());
}

/**
 * Links a blob that another repository has. `from` undefined takes any that `readable` allows. False when there is none.
 */
export function mountBlob(
  records: Records,
  to: RepositoryName,
  digest: Digest,
  from: RepositoryName | undefined,
  readable: (name: RepositoryName) => boolean,
  admit: (added: number) => void,
): BlobInfo | undefined {
  const source = atomically(records, () => {
    if (from !== undefined) return readable(from) ? linkedBlob(records, from, digest) : undefined;
    const holders = records.db
      .query<{ name: RepositoryName }, [string]>(
        "SELECT r.name FROM link l JOIN repository r ON r.id = l.repository WHERE l.digest = ? LIMIT 100",
      )
      .all(digest);
    return holders.some((each) => readable(each.name)) ? storedBlob(records, digest) : undefined;
  });
  if (!source) return undefined;
  const blob = { digest, size: source.size };
  linkBlob(records, to, blob, admit);
  return blob;
}

/**
 * A client that asks whether a blob is there is about to name it in a manifest: it keeps the blob from being collected for another
 * grace period. Only a link that no manifest names, and that is old, costs a write.
 */
export function keepLink(records: Records, name: RepositoryName, digest: Digest, olderThanMs: number): void {
  const now = records.clock.now();
  const id = repositoryId(records, name);
  if (id === undefined) return;
  atomically(records, () =>
    records.db
      .query(
        `UPDATE link SET linked = ?1 WHERE repository = ?2 AND digest = ?3 AND linked < ?4
         AND NOT EXISTS (SELECT 1 FROM reference WHERE repository = ?2 AND target = ?3)`,
      )
      .run(now, id, digest, now - olderThanMs),
  );
}

/** "gone", or why not: it is not there, or the manifest that needs it. */
export function unlinkBlob(
  records: Records,
  name: RepositoryName,
  digest: Digest,
): "gone" | "unknown" | { readonly neededBy: Digest } {
  return atomically(records, () => {
    const id = repositoryId(records, name);
    if (id === undefined || !linkedBlob(records, name, digest)) return "unknown";
    const user = records.db
      .query<{ manifest: Digest }, [number, string]>(
        "SELECT manifest FROM reference WHERE repository = ? AND target = ? LIMIT 1",
      )
      .get(id, digest);
    if (user) return { neededBy: user.manifest };
    records.db.query("DELETE FROM link WHERE repository = ? AND digest = ?").run(id, digest);
    return "gone";
  });
}

/** True when a manifest of the repository names the blob. */
export function isReferenced(records: Records, name: RepositoryName, digest: Digest): boolean {
  const id = repositoryId(records, name);
  if (id === undefined) return false;
  return (
    records.db
      .query("SELECT 1 FROM reference WHERE repository = ? AND target = ? LIMIT 1")
      .get(id, digest) !== null
  );
}

/** Takes a digest whose bytes are gone out of all records, so that a client that asks is told to push it again. */
export function forgetEverywhere(records: Records, digest: Digest): void {
  atomically(records, () => {
    for (const table of ["link", "manifest", "blob"]) {
      records.db.query(`DELETE FROM ${table} WHERE digest = ?`).run(digest);
    }
  });
}
