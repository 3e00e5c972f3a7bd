import { conflict, notFound } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { tellingFullDisk } from "../../base/store/full-disk.ts";
import { relaxed } from "../../base/store/relaxed.ts";
import type { Measured, SharedFile } from "./measure.ts";
import type { SnapshotInfo, Usage } from "./snapshotter.ts";

/** A snapshot's record: what the contract shows, and where it lies. */
export interface SnapshotRecord extends SnapshotInfo {
  /** Name of its directory below the driver's root: short, as overlay mount data is limited to a page. */
  readonly directory: string;
  readonly volatile: boolean;
  /** The directory whose files complete it: see `CommitOptions`. */
  readonly base: string | undefined;
  /** Measured once for a committed snapshot, which does not change. */
  readonly usage: Usage | undefined;
}

interface Row {
  name: string;
  kind: "active" | "committed";
  parent: string | null;
  created: number;
  directory: string;
  volatile: number;
  base: string | null;
  bytes: number | null;
  inodes: number | null;
}

const migrations = [
  `CREATE TABLE snapshot (
     driver TEXT NOT NULL,
     name TEXT NOT NULL,
     kind TEXT NOT NULL CHECK (kind IN ('active', 'committed')),
     parent TEXT,
     created INTEGER NOT NULL,
     directory TEXT NOT NULL,
     volatile INTEGER NOT NULL DEFAULT 0,
     bytes INTEGER,
     inodes INTEGER,
     PRIMARY KEY (driver, name)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX snapshot_parent ON snapshot (driver, parent);`,
  `ALTER TABLE snapshot ADD COLUMN base TEXT;
   CREATE INDEX snapshot_base ON snapshot (driver, base) WHERE base IS NOT NULL;
   CREATE INDEX snapshot_directory ON snapshot (driver, directory);`,
  // Snapshots that may share files with others; when they are measured, inode and bytes of each file with several names, as 64-bit words.
  `CREATE TABLE snapshot_shared (
     driver TEXT NOT NULL,
     directory TEXT NOT NULL,
     files BLOB,
     PRIMARY KEY (driver, directory)
   ) STRICT, WITHOUT ROWID;`,
];

/**
 * The records of one driver. Active snapshots are written without waiting for the disk: after a power cut `recover` removes
 * a directory whose record was lost, and a later durable write to the same file carries the earlier ones with it.
 */
export class SnapshotRecords {
  readonly #db: Database;
  readonly #driver: string;
  readonly #statements;
  /** Committed ones that lie below something: chains of hundreds are walked several times for each step of a build. */
  readonly #known = new Map<string, SnapshotRecord>();

  constructor(db: Database, driver: string) {
    migrate(db, "snapshot", migrations);
    this.#db = db;
    this.#driver = driver;
    this.#statements = {
      get: db.query<Row, [string, string]>("SELECT * FROM snapshot WHERE driver = ?1 AND name = ?2"),
      all: db.query<Row, [string]>("SELECT * FROM snapshot WHERE driver = ?1 ORDER BY created, name"),
      child: db.query<{ name: string }, [string, string]>(
        "SELECT name FROM snapshot WHERE driver = ?1 AND parent = ?2 LIMIT 1",
      ),
      insert: db.query(
        `INSERT INTO snapshot (driver, name, kind, parent, created, directory, volatile)
         VALUES (?1, ?2, 'active', ?3, ?4, ?5, ?6)`,
      ),
      commit: db.query(
        "UPDATE snapshot SET name = ?3, kind = 'committed', base = ?4 WHERE driver = ?1 AND name = ?2",
      ),
      at: db.query<Row, [string, string]>("SELECT * FROM snapshot WHERE driver = ?1 AND directory = ?2"),
      completedBy: db.query<Row, [string, string]>(
        "SELECT * FROM snapshot WHERE driver = ?1 AND base = ?2 ORDER BY created, name",
      ),
      complete: db.query("UPDATE snapshot SET base = NULL WHERE driver = ?1 AND name = ?2"),
      commitOnto: db.query(
        "UPDATE snapshot SET name = ?3, kind = 'committed', parent = ?4 WHERE driver = ?1 AND name = ?2",
      ),
      rename: db.query("UPDATE snapshot SET name = ?3 WHERE driver = ?1 AND name = ?2"),
      reparent: db.query("UPDATE snapshot SET parent = ?3 WHERE driver = ?1 AND parent = ?2"),
      measure: db.query("UPDATE snapshot SET bytes = ?3, inodes = ?4 WHERE driver = ?1 AND directory = ?2"),
      shared: db.query<{ files: Uint8Array | null }, [string, string]>(
        "SELECT files FROM snapshot_shared WHERE driver = ?1 AND directory = ?2",
      ),
      share: db.query(
        "INSERT OR REPLACE INTO snapshot_shared (driver, directory, files) VALUES (?1, ?2, ?3)",
      ),
      sharing: db.query<{ name: string }, [string]>(
        `SELECT name FROM snapshot JOIN snapshot_shared USING (driver, directory)
         WHERE driver = ?1 AND kind = 'committed'`,
      ),
      removeShared: db.query("DELETE FROM snapshot_shared WHERE driver = ?1 AND directory = ?2"),
      remove: db.query("DELETE FROM snapshot WHERE driver = ?1 AND name = ?2"),
    };
  }

  find(name: string): SnapshotRecord | undefined {
    const row = this.#statements.get.get(this.#driver, name);
    return row ? record(row) : undefined;
  }

  get(name: string): SnapshotRecord {
    const found = this.find(name);
    if (!found) throw notFound(`snapshot ${name} does not exist`);
    return found;
  }

  all(): SnapshotRecord[] {
    return this.#statements.all.all(this.#driver).map(record);
  }

  hasChildren(name: string): boolean {
    return this.#statements.child.get(this.#driver, name) !== null;
  }

  /** The committed parents of a record, nearest first. */
  parents(of: SnapshotRecord): SnapshotRecord[] {
    const chain: SnapshotRecord[] = [];
    for (let name = of.parent; name !== undefined; name = chain.at(-1)?.parent)
      chain.push(this.#committed(name));
    return chain;
  }

  #committed(name: string): SnapshotRecord {
    const known = this.#known.get(name);
    if (known) return known;
    const found = this.get(name);
    if (found.kind === "committed") this.#known.set(name, found);
    return found;
  }

  /** Checks that `key` is free and `parent` can bear children; returns the parent's record. */
  admit(key: string, parent: ChainId | undefined): SnapshotRecord | undefined {
    if (this.find(key)) throw conflict(`snapshot ${key} already exists`);
    if (parent === undefined) return undefined;
    const found = this.get(parent);
    if (found.kind !== "committed") throw conflict(`snapshot ${parent} is not committed`);
    return found;
  }

  insertActive(entry: {
    readonly name: string;
    readonly parent: string | undefined;
    readonly created: number;
    readonly directory: string;
    readonly volatile: boolean;
  }): void {
    relaxed(this.#db, () =>
      this.#statements.insert.run(
        this.#driver,
        entry.name,
        entry.parent ?? null,
        entry.created,
        entry.directory,
        entry.volatile ? 1 : 0,
      ),
    );
  }

  /** Durable unless `lazily`: returns when the record is on disk (where the file was opened durable). */
  commit(
    name: ChainId,
    key: string,
    { lazily = false, base }: { readonly lazily?: boolean; readonly base?: string | undefined } = {},
  ): void {
    const write = () => this.#statements.commit.run(this.#driver, key, name, base ?? null);
    if (lazily) relaxed(this.#db, write);
    else tellingFullDisk(write);
  }

  /** The snapshot that has a directory. */
  at(directory: string): SnapshotRecord | undefined {
    const row = this.#statements.at.get(this.#driver, directory);
    return row ? record(row) : undefined;
  }

  /** Those that a directory's files complete, the oldest first. */
  completedBy(directory: string): readonly SnapshotRecord[] {
    return this.#statements.completedBy.all(this.#driver, directory).map(record);
  }

  /** It needs no base any more. */
  complete(name: string): void {
    this.#known.delete(name);
    tellingFullDisk(() => this.#statements.complete.run(this.#driver, name));
  }

  /** Durable; one transaction. Bottom first, each on the one before; returns the keys of those whose name was there already. */
  commitStack(
    parent: ChainId | undefined,
    layers: readonly { readonly name: ChainId; readonly key: string }[],
  ): readonly string[] {
    const write = this.#db.transaction(() => {
      const spare: string[] = [];
      let below = parent;
      for (const { name, key } of layers) {
        if (this.find(name)?.kind === "committed") spare.push(key);
        else this.#statements.commitOnto.run(this.#driver, key, name, below ?? null);
        below = name;
      }
      return spare;
    });
    return tellingFullDisk(() => write.immediate());
  }

  /** One transaction, durable where `from` may be removed afterwards. See `Snapshotter.rename`. */
  rename(from: ChainId, to: ChainId): void {
    const record = this.get(from);
    if (from === to) return;
    if (record.kind !== "committed") throw conflict(`snapshot ${from} is not committed`);
    const there = this.find(to);
    if (there?.kind === "active") throw conflict(`snapshot ${to} is not committed`);
    if (there && this.parents(there).some((below) => below.name === from))
      throw conflict(`snapshot ${to} lies on ${from}`);
    const write = this.#db.transaction(() => {
      this.#statements.reparent.run(this.#driver, from, to);
      if (!there) this.#statements.rename.run(this.#driver, from, to);
    });
    this.#known.delete(from);
    for (const { name, parent } of this.#known.values()) if (parent === from) this.#known.delete(name);
    if (there) tellingFullDisk(() => write.immediate());
    else relaxed(this.#db, () => write.immediate());
  }

  /** Has earlier writes on disk: any durable one carries them along (the log is one file). */
  settle(): void {
    const write = this.#db.query("UPDATE migration SET version = version WHERE scope = 'snapshot'");
    tellingFullDisk(() => write.run());
  }

  /** What was measured of a committed snapshot; undefined: nothing that still holds. */
  measurement({ usage, directory }: SnapshotRecord): Measured | undefined {
    if (!usage) return undefined;
    const row = this.#statements.shared.get(this.#driver, directory);
    return { ...usage, shared: row?.files ? decodeShared(row.files) : [] };
  }

  measured({ name, directory }: SnapshotRecord, { bytes, inodes, shared }: Measured): void {
    this.#known.delete(name);
    const write = this.#db.transaction(() => {
      this.#statements.measure.run(this.#driver, directory, bytes, inodes);
      if (shared.length > 0) this.#statements.share.run(this.#driver, directory, encodeShared(shared));
      else this.#statements.removeShared.run(this.#driver, directory);
    });
    relaxed(this.#db, () => write.immediate());
  }

  /** The snapshot with this directory shares files from now on: what was measured of it does not hold any more. */
  shares(directory: string): void {
    for (const known of this.#known.values())
      if (known.directory === directory) this.#known.delete(known.name);
    const write = this.#db.transaction(() => {
      this.#statements.measure.run(this.#driver, directory, null, null);
      this.#statements.share.run(this.#driver, directory, null);
    });
    relaxed(this.#db, () => write.immediate());
  }

  /** See `Snapshotter.sharing`. */
  sharing(): readonly string[] {
    return this.#statements.sharing.all(this.#driver).map(({ name }) => name);
  }

  remove(name: string): void {
    this.#known.delete(name);
    const directory = this.find(name)?.directory;
    const write = this.#db.transaction(() => {
      if (directory !== undefined) this.#statements.removeShared.run(this.#driver, directory);
      this.#statements.remove.run(this.#driver, name);
    });
    relaxed(this.#db, () => write.immediate());
  }
}

function encodeShared(files: readonly SharedFile[]): Uint8Array {
  const words = BigUint64Array.from(files.flatMap(({ ino, bytes }) => [ino, BigInt(bytes)]));
  return new Uint8Array(words.buffer);
}

function decodeShared(bytes: Uint8Array): readonly SharedFile[] {
  // A copy begins where words may.
  const words = new BigUint64Array(bytes.slice().buffer);
  return Array.from({ length: words.length / 2 }, (_, index) => ({
    ino: words[2 * index] ?? 0n,
    bytes: Number(words[2 * index + 1] ?? 0n),
  }));
}

/** Names of the drivers that have snapshots in a database. */
export function driversWithSnapshots(db: Database): string[] {
  migrate(db, "snapshot", migrations);
  const rows = db.query<{ driver: string }, []>("SELECT DISTINCT driver FROM snapshot ORDER BY driver").all();
  return rows.map((row) => row.driver);
}

function record(row: Row): SnapshotRecord {
  return {
    name: row.name,
    kind: row.kind,
    parent: row.parent ?? undefined,
    created: row.created,
    directory: row.directory,
    volatile: row.volatile !== 0,
    base: row.base ?? undefined,
    usage: row.bytes === null || row.inodes === null ? undefined : { bytes: row.bytes, inodes: row.inodes },
  };
}
