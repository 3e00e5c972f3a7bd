import type { ChainId, DiffId, Digest, ImageId } from "../../base/lib/ids.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor, Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import { choosePlatform } from "../../base/spec/oci/platform.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { tellingFullDisk } from "../../base/store/full-disk.ts";
import { type RecordAt, readObject, UnreadableRecords } from "../../base/store/unreadable.ts";
import type { Image, ImageIndex, NewIndex } from "./image.ts";
import { platformOf } from "./platform-of.ts";

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
  `CREATE TABLE image_manifest (
     digest TEXT PRIMARY KEY,
     descriptor TEXT NOT NULL,
     image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX image_manifest_image ON image_manifest (image);
   CREATE TABLE image_manifest_blob (
     manifest TEXT NOT NULL REFERENCES image_manifest (digest) ON DELETE CASCADE,
     digest TEXT NOT NULL,
     PRIMARY KEY (manifest, digest)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE image_index (
     digest TEXT PRIMARY KEY,
     descriptor TEXT NOT NULL,
     manifests TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE image_index_blob (
     image_index TEXT NOT NULL REFERENCES image_index (digest) ON DELETE CASCADE,
     digest TEXT NOT NULL,
     PRIMARY KEY (image_index, digest)
   ) STRICT, WITHOUT ROWID;
   ALTER TABLE image ADD COLUMN image_index TEXT;
   ALTER TABLE image_reference ADD COLUMN target TEXT;
   INSERT OR IGNORE INTO image_manifest
     SELECT json_extract(manifest, '$.digest'), manifest, id FROM image WHERE manifest IS NOT NULL;
   INSERT OR IGNORE INTO image_manifest_blob
     SELECT image_manifest.digest, image_blob.digest FROM image_blob JOIN image_manifest USING (image);
   UPDATE image_reference SET target = (SELECT json_extract(manifest, '$.digest') FROM image WHERE id = image);
   DROP TABLE image_blob;`,
  `CREATE TABLE image_kept_blob (
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

/** What a name means: the image, and the index or manifest that it was given to. */
export interface Named {
  readonly image: ImageId;
  readonly target: Digest | undefined;
}

export interface NewRow {
  readonly id: ImageId;
  /** The config's text, whose digest the id is. */
  readonly config: string;
  readonly manifest: Descriptor | undefined;
  readonly index: NewIndex | undefined;
  readonly parent: ImageId | undefined;
  readonly size: number;
  readonly blobs: readonly Digest[];
  /** Blobs that it needs besides those of its manifests. */
  readonly kept: readonly Digest[];
}

interface ImageRow {
  id: string;
  config: string;
  manifest: string | null;
  parent: string | null;
  size: number;
  last_tagged: number;
  image_index: string | null;
}

/** An image and the chain ids of all its layers, bottom first. */
export interface ImageRecord extends Image {
  readonly chain: readonly ChainId[];
}

/** Everything the tables say. */
export interface ImageTables {
  readonly images: ReadonlyMap<ImageId, ImageRecord>;
  readonly names: ReadonlyMap<string, Named>;
  readonly indexes: ReadonlyMap<Digest, ImageIndex>;
  /** Manifests whose image is here. */
  readonly manifests: ReadonlyMap<Digest, { readonly descriptor: Descriptor; readonly image: ImageId }>;
  /** Images that are left out, because their config cannot be read. */
  readonly unreadable: readonly ImageId[];
  /** Something cannot be read, so nothing is proved to be of no use. */
  readonly incomplete: boolean;
}

/** The tables of images, read whole once and then kept in memory: one process writes them, and every list reads them all. */
export class ImageRecords {
  readonly #db: Database;
  readonly #platform: Platform;
  readonly #unreadable: UnreadableRecords;
  #cache: ImageTables | undefined;
  /** By id, which is the digest of what was parsed. */
  #configs: ReadonlyMap<string, ImageConfig> = new Map();

  constructor(db: Database, platform: Platform, unreadable = new UnreadableRecords()) {
    this.#db = db;
    this.#platform = platform;
    this.#unreadable = unreadable;
    migrate(db, "image", migrations);
  }

  get tables(): ImageTables {
    this.#cache ??= this.#load();
    return this.#cache;
  }

  /** Several writes as one. Names of an index are moved to the image that it means now, and what nothing names goes. */
  write(change: () => void): void {
    const all = () => {
      change();
      this.#settle();
    };
    try {
      tellingFullDisk(() => this.#db.transaction(all).immediate());
    } finally {
      this.#cache = undefined;
    }
  }

  /** Inserts, or brings up to date the manifest and index of an image that is there. */
  put(row: NewRow, now: number): void {
    const { id, manifest, index } = row;
    this.#db
      .query(
        `INSERT INTO image (id, config, manifest, parent, size, last_tagged, image_index)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET manifest = coalesce(?3, manifest), parent = coalesce(?4, parent), size = ?5,
           image_index = coalesce(?7, image_index)`,
      )
      .run(
        id,
        row.config,
        manifest ? JSON.stringify(manifest) : null,
        row.parent ?? null,
        row.size,
        now,
        index?.descriptor.digest ?? null,
      );
    const keep = this.#db.query("INSERT OR IGNORE INTO image_kept_blob VALUES (?1, ?2)");
    for (const digest of row.kept) keep.run(id, digest);
    if (manifest) {
      this.#db
        .query("INSERT OR IGNORE INTO image_manifest (digest, descriptor, image) VALUES (?1, ?2, ?3)")
        .run(manifest.digest, JSON.stringify(manifest), id);
      const insert = this.#db.query("INSERT OR IGNORE INTO image_manifest_blob VALUES (?1, ?2)");
      for (const digest of row.blobs) insert.run(manifest.digest, digest);
    }
    if (!index) return;
    const { descriptor, manifests, blobs } = index;
    this.#db
      .query("INSERT OR IGNORE INTO image_index (digest, descriptor, manifests) VALUES (?1, ?2, ?3)")
      .run(descriptor.digest, JSON.stringify(descriptor), JSON.stringify(manifests));
    const insert = this.#db.query("INSERT OR IGNORE INTO image_index_blob VALUES (?1, ?2)");
    for (const digest of blobs) insert.run(descriptor.digest, digest);
  }

  setReference(reference: ReferenceRow, named: Named, now: number): void {
    this.#db
      .query(
        `INSERT INTO image_reference (name, image, digest, target) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET image = ?2, target = ?4`,
      )
      .run(reference.name, named.image, reference.digest ?? null, named.target ?? null);
    this.#db.query("UPDATE image SET last_tagged = ?2 WHERE id = ?1").run(named.image, now);
  }

  dropReference(name: string): void {
    this.#db.query("DELETE FROM image_reference WHERE name = ?1").run(name);
  }

  /** Names of an index that has other platforms here stay, as theirs. */
  drop(id: ImageId): void {
    for (const { descriptor, present } of this.#load().indexes.values()) {
      const other = [...present.values()].find((image) => image !== id);
      if (other === undefined) continue;
      this.#db
        .query("UPDATE image_reference SET image = ?3 WHERE image = ?1 AND target = ?2")
        .run(id, descriptor.digest, other);
    }
    this.#db.query("DELETE FROM image WHERE id = ?1").run(id);
  }

  /** Puts an image's config into its record again. */
  restoreConfig(id: ImageId, text: string): void {
    this.#db.query("UPDATE image SET config = ?2 WHERE id = ?1").run(id, text);
    this.#unreadable.repaired(this.#db, { table: "image", column: "config", key: ["id", id] });
    this.#cache = undefined;
  }

  configText(id: ImageId): string | undefined {
    const query = this.#db.query<{ config: string }, [string]>("SELECT config FROM image WHERE id = ?1");
    return query.get(id)?.config;
  }

  /** Digests of every blob that some image is made of or was pulled by. */
  *blobs(): Iterable<Digest> {
    const query = `SELECT digest FROM image_manifest_blob UNION SELECT digest FROM image_manifest
                   UNION SELECT digest FROM image_index_blob UNION SELECT digest FROM image_index
                   UNION SELECT digest FROM image_reference WHERE digest IS NOT NULL UNION SELECT id FROM image
                   UNION SELECT digest FROM image_kept_blob`;
    for (const row of this.#db.query<{ digest: string }, []>(query).all()) yield row.digest as Digest;
  }

  #settle(): void {
    const { indexes, incomplete } = this.#load();
    for (const { descriptor, chosen } of indexes.values()) {
      if (chosen === undefined) continue;
      this.#db
        .query("UPDATE image_reference SET image = ?2 WHERE target = ?1 AND image <> ?2")
        .run(descriptor.digest, chosen);
    }
    // What cannot be read may name them.
    if (incomplete) return;
    this.#db.run(
      `DELETE FROM image_index WHERE digest NOT IN (SELECT target FROM image_reference WHERE target IS NOT NULL)
         AND digest NOT IN (SELECT image_index FROM image WHERE image_index IS NOT NULL)`,
    );
    this.#db.run(
      `DELETE FROM image_manifest WHERE digest NOT IN (SELECT target FROM image_reference WHERE target IS NOT NULL)
         AND digest NOT IN (SELECT json_extract(manifest, '$.digest') FROM image WHERE manifest IS NOT NULL)
         AND digest NOT IN (SELECT json_extract(value, '$.digest') FROM image_index, json_each(image_index.manifests))`,
    );
  }

  #load(): ImageTables {
    const names = new Map<string, Named>();
    const tags = new Map<string, string[]>();
    const digests = new Map<string, string[]>();
    const references = this.#db
      .query<{ name: string; image: string; digest: string | null; target: string | null }, []>(
        "SELECT * FROM image_reference ORDER BY name",
      )
      .all();
    for (const { name, image, digest, target } of references) {
      names.set(name, { image: image as ImageId, target: (target ?? undefined) as Digest | undefined });
      const lists = digest === null ? tags : digests;
      const list = lists.get(image);
      if (list) list.push(name);
      else lists.set(image, [name]);
    }
    const rows = this.#db.query<ImageRow, []>("SELECT * FROM image ORDER BY id").all();
    let incomplete = false;
    const read = <T>(at: RecordAt, parse: () => T): T | undefined => {
      const value = this.#unreadable.read(this.#db, at, parse);
      incomplete ||= value === undefined;
      return value;
    };
    const configs = new Map<string, ImageConfig>();
    for (const { id, config: text } of rows) {
      const at = { table: "image", column: "config", key: ["id", id] } as const;
      const config = this.#configs.get(id) ?? read(at, () => parseImageConfig(Buffer.from(text)));
      if (config) configs.set(id, config);
    }
    this.#configs = configs;
    const manifests = new Map<Digest, { readonly descriptor: Descriptor; readonly image: ImageId }>();
    for (const row of this.#db
      .query<{ digest: string; descriptor: string; image: string }, []>("SELECT * FROM image_manifest")
      .all()) {
      const at = { table: "image_manifest", column: "descriptor", key: ["digest", row.digest] } as const;
      const descriptor = read(at, () => readObject<Descriptor>(row.descriptor, descriptorFields));
      if (descriptor) manifests.set(row.digest as Digest, { descriptor, image: row.image as ImageId });
    }
    const indexes = new Map<Digest, ImageIndex>();
    for (const row of this.#db
      .query<{ digest: string; descriptor: string; manifests: string }, []>("SELECT * FROM image_index")
      .all()) {
      const at = (column: string) => ({ table: "image_index", column, key: ["digest", row.digest] }) as const;
      const descriptor = read(at("descriptor"), () =>
        readObject<Descriptor>(row.descriptor, descriptorFields),
      );
      const listed = read(at("manifests"), () =>
        Array.from(readObject<readonly Descriptor[]>(row.manifests, ["length"])),
      );
      if (descriptor && listed)
        indexes.set(descriptor.digest, this.#index(descriptor, listed, manifests, configs));
    }
    const images = new Map<ImageId, ImageRecord>();
    for (const row of rows) {
      const config = configs.get(row.id);
      if (!config) continue;
      const own = { tags: tags.get(row.id) ?? [], digests: digests.get(row.id) ?? [] };
      const { manifest: text } = row;
      const at = { table: "image", column: "manifest", key: ["id", row.id] } as const;
      const manifest =
        text === null ? undefined : read(at, () => readObject<Descriptor>(text, descriptorFields));
      const image = imageOf({ ...row, config, manifest }, own, { names, indexes });
      images.set(image.id, image);
    }
    const unreadable = rows.flatMap(({ id }) => (configs.has(id) ? [] : [id as ImageId]));
    return { images, names, indexes, manifests, unreadable, incomplete };
  }

  #index(
    descriptor: Descriptor,
    listed: readonly Descriptor[],
    manifests: ImageTables["manifests"],
    configs: ReadonlyMap<string, ImageConfig>,
  ): ImageIndex {
    const present = new Map<Digest, ImageId>();
    const here: Descriptor[] = [];
    for (const each of listed) {
      const image = manifests.get(each.digest)?.image;
      const config = image && configs.get(image);
      if (!image || !config) continue;
      present.set(each.digest, image);
      here.push(each.platform ? each : { ...each, platform: platformOf(config) });
    }
    const best = choosePlatform(here, this.#platform) ?? here[0];
    return { descriptor, manifests: listed, present, chosen: best && present.get(best.digest) };
  }
}

const descriptorFields = ["digest", "mediaType", "size"] as const;

function imageOf(
  row: Omit<ImageRow, "config" | "manifest"> & Pick<Image, "config" | "manifest">,
  { tags, digests }: Pick<Image, "tags" | "digests">,
  known: Pick<ImageTables, "names" | "indexes">,
): ImageRecord {
  const { config } = row;
  const layers: readonly DiffId[] = config.rootfs.diff_ids;
  const chain = chainIds(layers);
  const targets = [...tags, ...digests].map((name) => known.names.get(name)?.target);
  const cameBy = [...targets, row.image_index as Digest | null].flatMap((digest) => {
    const index = digest ? known.indexes.get(digest) : undefined;
    return index ? [index] : [];
  });
  const id = row.id as ImageId;
  const others = new Set(cameBy.flatMap((index) => [...index.present.values()]));
  others.delete(id);
  return {
    id,
    config,
    manifest: row.manifest,
    index: cameBy[0]?.descriptor.digest,
    siblings: [...others],
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
