import { TugError } from "../../base/lib/errors.ts";
import type { ChainId, DiffId, Digest, ImageId } from "../../base/lib/ids.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { tellingFullDisk } from "../../base/store/full-disk.ts";
import type { Image } from "./image.ts";

const migrations = [
  `CREATE TABLE image (
     id TEXT PRIMARY KEY,
     config TEXT NOT NULL,
     manifest TEXT,
     parent TEXT,
     size INTEGER NOT NULL,
     last_tagged INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE image_reference (
     name TEXT PRIMARY KEY,
     image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
     digest TEXT
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX image_reference_image ON image_reference (image);
   CREATE TABLE image_blob (
     image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
     digest TEXT NOT NULL,
     PRIMARY KEY (image, digest)
   ) STRICT, WITHOUT ROWID;`,
];

/** A name of an image: "name:tag", or "name@digest" with the digest apart. */
export interface ReferenceRow {
  readonly name: string;
  readonly digest: Digest | undefined;
}

export interface NewRow {
  readonly id: ImageId;
  /** The config's text, whose digest the id is. */
  readonly config: string;
  readonly manifest: Descriptor | undefined;
  readonly parent: ImageId | undefined;
  readonly size: number;
  readonly blobs: readonly Digest[];
}

interface ImageRow {
  id: string;
  config: string;
  manifest: string | null;
  parent: string | null;
  size: number;
  last_tagged: number;
}

/** An image and the chain ids of all its layers, bottom first. */
export interface ImageRecord extends Image {
  readonly chain: readonly ChainId[];
}

/** The tables of images, read whole once and then kept in memory: one process writes them, and every list reads them all. */
export class ImageRecords {
  readonly #db: Database;
  #cache:
    | { readonly images: ReadonlyMap<ImageId, ImageRecord>; readonly names: ReadonlyMap<string, ImageId> }
    | undefined;

  constructor(db: Database) {
    this.#db = db;
    migrate(db, "image", migrations);
  }

  get images(): ReadonlyMap<ImageId, ImageRecord> {
    return this.#load().images;
  }

  /** Name -> image. */
  get names(): ReadonlyMap<string, ImageId> {
    return this.#load().names;
  }

  /** Several writes as one. */
  write(change: () => void): void {
    try {
      tellingFullDisk(() => this.#db.transaction(change).immediate());
    } finally {
      this.#cache = undefined;
    }
  }

  /** Inserts, or brings up to date the manifest and blobs of an image that is there. */
  put(row: NewRow, now: number): void {
    this.#db
      .query(
        `INSERT INTO image (id, config, manifest, parent, size, last_tagged) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET manifest = coalesce(?3, manifest), parent = coalesce(?4, parent), size = ?5`,
      )
      .run(
        row.id,
        row.config,
        row.manifest ? JSON.stringify(row.manifest) : null,
        row.parent ?? null,
        row.size,
        now,
      );
    if (row.manifest) this.#db.query("DELETE FROM image_blob WHERE image = ?1").run(row.id);
    const insert = this.#db.query("INSERT OR IGNORE INTO image_blob (image, digest) VALUES (?1, ?2)");
    for (const digest of row.blobs) insert.run(row.id, digest);
  }

  setReference(reference: ReferenceRow, image: ImageId, now: number): void {
    this.#db
      .query(
        `INSERT INTO image_reference (name, image, digest) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET image = ?2`,
      )
      .run(reference.name, image, reference.digest ?? null);
    this.#db.query("UPDATE image SET last_tagged = ?2 WHERE id = ?1").run(image, now);
  }

  dropReference(name: string): void {
    this.#db.query("DELETE FROM image_reference WHERE name = ?1").run(name);
  }

  drop(id: ImageId): void {
    this.#db.query("DELETE FROM image WHERE id = ?1").run(id);
  }

  /** Digests of every blob that some image is made of or was pulled by. */
  *blobs(): Iterable<Digest> {
    const query = `SELECT digest FROM image_blob UNION SELECT digest FROM image_reference WHERE digest IS NOT NULL
                   UNION SELECT id FROM image`;
    for (const row of this.#db.query<{ digest: string }, []>(query).all()) yield row.digest as Digest;
  }

  #load() {
    if (this.#cache) return this.#cache;
    const names = new Map<string, ImageId>();
    const tags = new Map<string, string[]>();
    const digests = new Map<string, string[]>();
    const references = this.#db
      .query<{ name: string; image: string; digest: string | null }, []>(
        "SELECT * FROM image_reference ORDER BY name",
      )
      .all();
    for (const { name, image, digest } of references) {
      names.set(name, image as ImageId);
      const lists = digest === null ? tags : digests;
      const list = lists.get(image);
      if (list) list.push(name);
      else lists.set(image, [name]);
    }
    const images = new Map<ImageId, ImageRecord>();
    for (const row of this.#db.query<ImageRow, []>("SELECT * FROM image ORDER BY id").all()) {
      const image = imageOf(row, tags.get(row.id) ?? [], digests.get(row.id) ?? []);
      images.set(image.id, image);
    }
    this.#cache = { images, names };
    return this.#cache;
  }
}

function imageOf(row: ImageRow, tags: readonly string[], digests: readonly string[]): ImageRecord {
  const config = parseImageConfig(Buffer.from(row.config));
  const layers: readonly DiffId[] = config.rootfs.diff_ids;
  const chain = chainIds(layers);
  return {
    id: row.id as ImageId,
    config,
    manifest: row.manifest === null ? undefined : parseDescriptor(row.manifest),
    tags,
    digests,
    layers,
    chain,
    chainId: chain.at(-1),
    size: row.size,
    lastTagged: row.last_tagged,
    parent: (row.parent ?? undefined) as ImageId | undefined,
  };
}

/** Only what `put` wrote. */
function parseDescriptor(text: string): Descriptor {
  try {
    return JSON.parse(text) as Descriptor;
  } catch (cause) {
    throw new TugError("data-loss", "image record with a broken manifest descriptor", { cause });
  }
}
