import type { Clock } from "../../base/lib/clock.ts";
import { type ChainId, type Digest, randomId } from "../../base/lib/ids.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { relaxed } from "../../base/store/relaxed.ts";
import { bootId } from "../../base/sys/boot-id.ts";

const migrations = [
  `CREATE TABLE build_record (
     id TEXT PRIMARY KEY,
     result TEXT UNIQUE,
     snapshot TEXT,
     type TEXT NOT NULL,
     description TEXT NOT NULL,
     created INTEGER NOT NULL,
     used INTEGER NOT NULL,
     uses INTEGER NOT NULL DEFAULT 0,
     unsynced TEXT
   ) STRICT;
   CREATE INDEX build_record_snapshot ON build_record (snapshot);
   CREATE TABLE build_key (
     key TEXT PRIMARY KEY,
     result TEXT NOT NULL,
     used INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX build_key_result ON build_key (result);`,
];

/** Types of cache records as BuildKit names them (client/diskusage.go). */
export type RecordType =
  | "regular"
  | "source.local"
  | "source.git.checkout"
  | "exec.cachemount"
  | "frontend"
  | "internal";

/** A result that is kept. */
export interface CacheRecord {
  readonly id: string;
  /** What readers go by; undefined: another record has taken this one's place. */
  readonly result: Digest | undefined;
  /** undefined: the empty tree. */
  readonly snapshot: ChainId | undefined;
  readonly type: RecordType;
  readonly description: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly used: number;
  readonly uses: number;
}

interface Row {
  id: string;
  result: string | null;
  snapshot: string | null;
  type: string;
  description: string;
  created: number;
  used: number;
  uses: number;
}

/** Keys that lead to no result are kept for so long, as the result may be made again and is known by them then. */
const idleKeys = { age: 60 * 86_400_000, count: 100_000 } as const;

/**
 * What the solver remembers: keys lead to a result's key, and that to a record with its snapshot. A key outlives the record: steps above
 * are found by it though what they read is gone. Nothing here waits for the disk; a power cut may take what `settle` did not make last.
 */
export class CacheRecords {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #boot: string;
  readonly #holds = new Map<string, number>();
  readonly #statements;

  /** `boot`: this one, unless a test has another. */
  constructor(deps: { readonly db: Database; readonly clock: Clock; readonly boot?: string }) {
    const { db } = deps;
    migrate(db, "build-cache", migrations);
    this.#db = db;
    this.#clock = deps.clock;
    this.#boot = deps.boot ?? bootId();
    this.#statements = {
      link: db.query<{ result: string }, [string]>("SELECT result FROM build_key WHERE key = ?1"),
      keys: db.query<{ key: string }, [string]>("SELECT key FROM build_key WHERE result = ?1 ORDER BY key"),
      find: db.query<Row, [string]>("SELECT * FROM build_record WHERE result = ?1"),
      get: db.query<Row, [string]>("SELECT * FROM build_record WHERE id = ?1"),
      all: db.query<Row, []>("SELECT * FROM build_record ORDER BY rowid"),
      named: db.query<{ id: string }, [string]>("SELECT id FROM build_record WHERE snapshot = ?1 LIMIT 1"),
      snapshots: db.query<{ snapshot: string }, []>(
        "SELECT DISTINCT snapshot FROM build_record WHERE snapshot IS NOT NULL",
      ),
      unsynced: db.query<{ id: string; unsynced: string }, []>(
        "SELECT id, unsynced FROM build_record WHERE unsynced IS NOT NULL",
      ),
      replace: db.query("UPDATE build_record SET result = NULL WHERE result = ?1"),
      insert: db.query(
        `INSERT INTO build_record (id, result, snapshot, type, description, created, used, uses, unsynced)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1, ?7)`,
      ),
      addKey: db.query(
        `INSERT INTO build_key (key, result, used) VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET result = ?2, used = ?3`,
      ),
      touch: db.query("UPDATE build_record SET used = ?2, uses = uses + 1 WHERE id = ?1"),
      touchKeys: db.query("UPDATE build_key SET used = ?2 WHERE result = ?1"),
      disown: db.query("UPDATE build_record SET result = NULL WHERE id = ?1"),
      rename: db.query("UPDATE build_record SET snapshot = ?2 WHERE snapshot = ?1"),
      synced: db.query("UPDATE build_record SET unsynced = NULL WHERE id = ?1"),
      remove: db.query("DELETE FROM build_record WHERE id = ?1"),
      forget: db.query(
        `DELETE FROM build_key WHERE result NOT IN (SELECT result FROM build_record WHERE result IS NOT NULL)
         AND (used < ?1 OR key NOT IN (SELECT key FROM build_key ORDER BY used DESC LIMIT ?2))`,
      ),
    };
  }

  /** The result's key that a key leads to. */
  link(key: Digest): Digest | undefined {
    return this.#statements.link.get(key)?.result as Digest | undefined;
  }

  /** All keys that lead to a result: what an export of the cache tells of it. */
  keysOf(result: Digest): readonly Digest[] {
    return this.#statements.keys.all(result).map(({ key }) => key as Digest);
  }

  find(result: Digest): CacheRecord | undefined {
    const row = this.#statements.find.get(result);
    return row ? record(row) : undefined;
  }

  get(id: string): CacheRecord | undefined {
    const row = this.#statements.get.get(id);
    return row ? record(row) : undefined;
  }

  /** In the order in which they were made. */
  all(): readonly CacheRecord[] {
    return this.#statements.all.all().map(record);
  }

  /** Names of the snapshots that records have. */
  snapshots(): readonly ChainId[] {
    return this.#statements.snapshots.all().map(({ snapshot }) => snapshot as ChainId);
  }

  names(snapshot: string): boolean {
    return this.#statements.named.get(snapshot) !== null;
  }

  addKeys(result: Digest, keys: readonly Digest[]): void {
    this.#write(() => {
      for (const key of keys) this.#statements.addKey.run(key, result, this.#clock.now());
    });
  }

  /** Records a result; one that had its key before gives way and is found by nobody any more. */
  insert(
    entry: Pick<CacheRecord, "snapshot" | "type" | "description"> & { readonly result: Digest },
  ): CacheRecord {
    const id = randomId().slice(0, 25);
    const now = this.#clock.now();
    const { result, snapshot, type, description } = entry;
    this.#write(() => {
      this.#statements.replace.run(result);
      this.#statements.insert.run(id, result, snapshot ?? null, type, description, now, this.#boot);
    });
    return { ...entry, id, created: now, used: now, uses: 1 };
  }

  /** They were used by a build. */
  touch(records: Iterable<Pick<CacheRecord, "id" | "result">>): void {
    const now = this.#clock.now();
    this.#write(() => {
      for (const { id, result } of records) {
        this.#statements.touch.run(id, now);
        if (result !== undefined) this.#statements.touchKeys.run(result, now);
      }
    });
  }

  renamed(from: ChainId, to: ChainId): void {
    this.#write(() => void this.#statements.rename.run(from, to));
  }

  remove(id: string): void {
    this.#write(() => void this.#statements.remove.run(id));
  }

  /** Drops keys that lead nowhere and were long of no use. */
  forgetKeys(): void {
    this.#write(() => void this.#statements.forget.run(this.#clock.now() - idleKeys.age, idleKeys.count));
  }

  /** Records whose snapshots would be short after a power cut; `lost`: that there was one since (another boot). */
  unsynced(): readonly { readonly id: string; readonly lost: boolean }[] {
    return this.#statements.unsynced.all().map(({ id, unsynced }) => ({ id, lost: unsynced !== this.#boot }));
  }

  /** The snapshots of these are on disk; the records, too, when it returns. */
  settle(ids: readonly string[]): void {
    const write = this.#db.transaction(() => {
      for (const id of ids) this.#statements.synced.run(id);
    });
    write.immediate();
  }

  /** What may have been lost is found by nobody any more: it is made again, and goes with the next collection. */
  distrust(ids: readonly string[]): void {
    this.#write(() => {
      for (const id of ids) this.#statements.disown.run(id);
    });
  }

  /** Keeps a record in use until it is disposed. */
  hold(id: string): Disposable {
    this.#holds.set(id, (this.#holds.get(id) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.#holds.get(id) ?? 1) - 1;
        if (left === 0) this.#holds.delete(id);
        else this.#holds.set(id, left);
      },
    };
  }

  inUse(id: string): boolean {
    return this.#holds.has(id);
  }

  #write(change: () => void): void {
    const write = this.#db.transaction(change);
    relaxed(this.#db, () => write());
  }
}

function record(row: Row): CacheRecord {
  return {
    id: row.id,
    result: (row.result ?? undefined) as Digest | undefined,
    snapshot: (row.snapshot ?? undefined) as ChainId | undefined,
    type: row.type as RecordType,
    description: row.description,
    created: row.created,
    used: row.used,
    uses: row.uses,
  };
}
