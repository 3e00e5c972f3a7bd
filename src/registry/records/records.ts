import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import { conflict } from "../../base/lib/errors.ts";
import { type Database, migrate, openDatabase } from "../../base/store/database.ts";
import { tellingFullDisk } from "../../base/store/full-disk.ts";
import { reserveSpace } from "../../base/store/reserve.ts";
import type { RepositoryName } from "../names.ts";
import { recordMigrations, uploadMigrations } from "./schema.ts";

/** Number of a repository inside the records. */
export type RepositoryId = number;

/**
 * The registry's records: two SQLite files in its root. `db` is synced at every commit, because a client that was told "created" may
 * forget its own copy; `uploads` survives the process but not a power cut. Reading and writing functions stand in the files beside this.
 */
export interface Records extends Disposable {
  readonly db: Database;
  readonly uploads: Database;
  readonly clock: Clock;
}

/** Opens or makes the records. The time it takes does not depend on what is in them. */
export function openRecords(deps: { readonly root: string; readonly clock: Clock }): Records {
  const db = openDatabase(join(deps.root, "registry.db"));
  migrate(db, "registry", recordMigrations);
  reserveSpace(db);
  const uploads = openDatabase(join(deps.root, "uploads.db"), { durable: false });
  migrate(uploads, "uploads", uploadMigrations);
  reserveSpace(uploads);
  return {
    db,
    uploads,
    clock: deps.clock,
    [Symbol.dispose]: () => {
      db.close();
      uploads.close();
    },
  };
}

/** Notes at the first time which storage the records are about; another one afterwards is refused. */
export function bindStorage(records: Pick<Records, "db">, identity: string): void {
  records.db.query("INSERT INTO setting VALUES ('storage', ?) ON CONFLICT DO NOTHING").run(identity);
  const bound = records.db
    .query<{ value: string }, []>("SELECT value FROM setting WHERE name = 'storage'")
    .get()?.value;
  if (bound === identity) return;
  throw conflict(
    `the records of this root are about blobs in ${bound}, and the configuration says ${identity}: name the right storage, or another root`,
  );
}

/** Runs `work` as one transaction, in one turn of the event loop: nothing it read has changed when it writes. */
export function atomically<T>(records: Pick<Records, "db">, work: () => T): T {
  return tellingFullDisk(() => records.db.transaction(work).immediate());
}

export function repositoryId(records: Pick<Records, "db">, name: RepositoryName): RepositoryId | undefined {
  return records.db.query<{ id: number }, [string]>("SELECT id FROM repository WHERE name = ?").get(name)?.id;
}

/** The repository, made when it is not there; inside a transaction. */
export function ensureRepository(records: Records, name: RepositoryName): RepositoryId {
  const now = records.clock.now();
  const found = records.db
    .query<{ id: number }, [string, number]>(
      "INSERT INTO repository (name, created, updated) VALUES (?1, ?2, ?2) ON CONFLICT (name) DO UPDATE SET updated = ?2 RETURNING id",
    )
    .get(name, now);
  if (!found) throw new Error(`repository ${name} was not recorded`);
  return found.id;
}
