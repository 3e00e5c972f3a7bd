import type { Digest } from "../../base/lib/ids.ts";
import type { RepositoryName, Tag } from "../names.ts";
import { recordStored } from "./blobs.ts";
import { atomically, ensureRepository, type Records, repositoryId } from "./records.ts";

export interface ManifestRecord {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  /** As the referrers API shows it; "" when there is none. */
  readonly artifactType: string;
  readonly subject: Digest | undefined;
  /** Milliseconds since the epoch. */
  readonly pushed: number;
}

export interface NewManifest extends Omit<ManifestRecord, "pushed"> {
  /** Up to a whole manifest's size, so they are read only where they are shown: `annotationsOf`. */
  readonly annotations: Annotations | undefined;
}

export type Annotations = Readonly<Record<string, string>>;

/** What a manifest needs beside itself. */
export interface ManifestNeeds {
  readonly blobs: readonly Digest[];
  /** Entries of an index: manifests, though some tools list blobs there too. */
  readonly children: readonly Digest[];
}

interface Row {
  readonly digest: Digest;
  readonly media_type: string;
  readonly size: number;
  readonly artifact_type: string;
  readonly subject: Digest | null;
  readonly pushed: number;
}

const columns = "m.digest, m.media_type, m.size, m.artifact_type, m.subject, m.pushed";

function fromRow(row: Row): ManifestRecord {
  return {
    digest: row.digest,
    mediaType: row.media_type,
    size: row.size,
    artifactType: row.artifact_type,
    subject: row.subject ?? undefined,
    pushed: row.pushed,
  };
}

export function manifestByDigest(
  records: Records,
  name: RepositoryName,
  digest: Digest,
): ManifestRecord | undefined {
  const row = records.db
    .query<Row, [string, string]>(
      `SELECT ${columns} FROM manifest m JOIN repository r ON r.id = m.repository WHERE r.name = ? AND m.digest = ?`,
    )
    .get(name, digest);
  return row ? fromRow(row) : undefined;
}

export function manifestByTag(records: Records, name: RepositoryName, tag: Tag): ManifestRecord | undefined {
  const row = records.db
    .query<Row, [string, string]>(
      `SELECT ${columns} FROM repository r JOIN tag t ON t.repository = r.id
       JOIN manifest m ON m.repository = r.id AND m.digest = t.digest WHERE r.name = ? AND t.name = ?`,
    )
    .get(name, tag);
  return row ? fromRow(row) : undefined;
}

/** What of `needs` the repository lacks. */
export function missingOf(records: Records, name: RepositoryName, needs: ManifestNeeds): readonly Digest[] {
  const id = repositoryId(records, name) ?? -1;
  const linked = records.db.query("SELECT 1 FROM link WHERE repository = ? AND digest = ?");
  const known = records.db.query("SELECT 1 FROM manifest WHERE repository = ? AND digest = ?");
  return [
    ...needs.blobs.filter((digest) => !linked.get(id, digest)),
    ...needs.children.filter((digest) => !known.get(id, digest) && !linked.get(id, digest)),
  ];
}

/**
 * Records a manifest whose bytes are in storage, its references and tags, all or nothing. `check` runs inside the transaction with what is
 * missing and the bytes the manifest adds, and refuses by throwing.
 */
export function putManifest(
  records: Records,
  name: RepositoryName,
  manifest: NewManifest,
  needs: ManifestNeeds,
  tags: readonly Tag[],
  check: (missing: readonly Digest[], added: number) => void,
): void {
  const { db } = records;
  const now = records.clock.now();
  atomically(records, () => {
    const before = manifestByDigest(records, name, manifest.digest);
    check(missingOf(records, name, needs), before ? 0 : manifest.size);
    const id = ensureRepository(records, name);
    recordStored(records, manifest);
    db.query(
      `INSERT INTO manifest (repository, digest, media_type, size, artifact_type, subject, annotations, pushed)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET media_type = ?3, pushed = ?8`,
    ).run(
      id,
      manifest.digest,
      manifest.mediaType,
      manifest.size,
      manifest.artifactType,
      manifest.subject ?? null,
      manifest.annotations === undefined ? null : JSON.stringify(manifest.annotations),
      now,
    );
    const refer = db.query(
      "INSERT INTO reference (repository, manifest, target) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    );
    for (const target of [...needs.blobs, ...needs.children]) refer.run(id, manifest.digest, target);
    setTags(records, id, tags, manifest.digest);
    const description = manifest.annotations?.["org.opencontainers.image.description"];
    if (tags.length > 0 && description !== undefined) {
      db.query("UPDATE repository SET description = ? WHERE id = ?").run(description.slice(0, 1000), id);
    }
  });
}

/** Notes that somebody asked for it, unless that was noted less than `afterMs` ago. */
export function touchManifest(
  records: Records,
  name: RepositoryName,
  manifest: ManifestRecord,
  afterMs: number,
): void {
  const now = records.clock.now();
  if (manifest.pushed >= now - afterMs) return;
  atomically(records, () => {
    const id = repositoryId(records, name);
    if (id === undefined) return;
    records.db
      .query("UPDATE manifest SET pushed = ? WHERE repository = ? AND digest = ?")
      .run(now, id, manifest.digest);
  });
}

/** Points tags at a manifest that is there; inside a transaction. */
function setTags(records: Records, id: number, tags: readonly Tag[], digest: Digest): void {
  const write = records.db.query(
    `INSERT INTO tag (repository, name, digest, updated) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT DO UPDATE SET digest = ?3, updated = ?4`,
  );
  for (const tag of tags) write.run(id, tag, digest, records.clock.now());
}

/** Removes a tag; false when there is none. */
export function deleteTag(records: Records, name: RepositoryName, tag: Tag): boolean {
  return atomically(records, () => {
    const id = repositoryId(records, name);
    if (id === undefined) return false;
    return records.db.query("DELETE FROM tag WHERE repository = ? AND name = ?").run(id, tag).changes > 0;
  });
}

/** Removes a manifest and every tag on it; false when there is none. */
export function deleteManifest(records: Records, name: RepositoryName, digest: Digest): boolean {
  return atomically(records, () => {
    const id = repositoryId(records, name);
    if (id === undefined) return false;
    return (
      records.db.query("DELETE FROM manifest WHERE repository = ? AND digest = ?").run(id, digest).changes > 0
    );
  });
}

/** Manifests whose subject is `digest`, after `last`, in the order of their digests. */
export function referrersOf(
  records: Records,
  name: RepositoryName,
  subject: Digest,
  page: { readonly artifactType: string | undefined; readonly last: string; readonly limit: number },
): readonly ManifestRecord[] {
  return records.db
    .query<Row, [string, string, string, string | null, number]>(
      `SELECT ${columns} FROM manifest m JOIN repository r ON r.id = m.repository
       WHERE r.name = ?1 AND m.subject = ?2 AND m.digest > ?3 AND (?4 IS NULL OR m.artifact_type = ?4)
       ORDER BY m.digest LIMIT ?5`,
    )
    .all(name, subject, page.last, page.artifactType ?? null, page.limit)
    .map(fromRow);
}

export function annotationsOf(
  records: Records,
  name: RepositoryName,
  digest: Digest,
): Annotations | undefined {
  const row = records.db
    .query<{ annotations: string | null }, [string, string]>(
      "SELECT m.annotations FROM manifest m JOIN repository r ON r.id = m.repository WHERE r.name = ? AND m.digest = ?",
    )
    .get(name, digest);
  return row?.annotations ? (JSON.parse(row.annotations) as Annotations) : undefined;
}
