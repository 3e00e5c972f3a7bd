import { Database } from "bun:sqlite";
import { TugError } from "../lib/errors.ts";

/** One step of a schema; applied once, in order, each in a transaction. Never edit one that was released: append. */
export type Migration = string;

/**
 * Opens (or makes) a SQLite file with the settings every store here wants: WAL so that readers never wait, and
 * synchronous=FULL where `durable` because a record must not be newer than the data it names after a power cut (SQLite
 * docs, "PRAGMA synchronous"). `scope` keeps the migrations of several stores in one file apart.
 */
export function openDatabase(path: string, options: { readonly durable?: boolean } = {}): Database {
  const db = new Database(path, { create: true, strict: true });
  // First: the next one needs a lock, which a connection that is just being closed elsewhere may hold.
  db.run("PRAGMA busy_timeout = 5000");
  db.run("PRAGMA journal_mode = WAL");
  db.run(`PRAGMA synchronous = ${options.durable === false ? "NORMAL" : "FULL"}`);
  db.run("PRAGMA foreign_keys = ON");
  db.run("CREATE TABLE IF NOT EXISTS migration (scope TEXT PRIMARY KEY, version INTEGER NOT NULL)");
  return db;
}

/** Brings `scope`'s tables up to date. Throws data-loss when the file was written by a newer Tug. */
export function migrate(db: Database, scope: string, migrations: readonly Migration[]): void {
  db.transaction(() => {
    const row = db
      .query<{ version: number }, [string]>("SELECT version FROM migration WHERE scope = ?")
      .get(scope);
    const version = row?.version ?? 0;
    if (version > migrations.length) {
      throw new TugError(
        "data-loss",
        `store "${scope}" has version ${version}, newer than this tug knows (${migrations.length})`,
      );
    }
    for (const step of migrations.slice(version)) db.run(step);
    db.query(
      "INSERT INTO migration (scope, version) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET version = ?2",
    ).run(scope, migrations.length);
  }).immediate();
}

/**
 * What SQLite finds wrong in a database file; `quick` leaves out whether indexes agree with their tables (SQLite, "PRAGMA quick_check").
 */
export function databaseProblems(db: Database, quick: boolean): readonly string[] {
  try {
    const rows = db.query<object, []>(quick ? "PRAGMA quick_check" : "PRAGMA integrity_check").all();
    const found = rows.flatMap((row) => Object.values(row).map(String)).filter((text) => text !== "ok");
    for (const row of db.query<{ table: string; parent: string }, []>("PRAGMA foreign_key_check").all())
      found.push(`a row of ${row.table} names one of ${row.parent} that is not there`);
    return found;
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** What to do about a file that SQLite finds damaged (SQLite, "Recovering Data From A Corrupt SQLite Database"). */
export function rebuildRemedy(path: string): string {
  return `stop the daemon, keep a copy of the file, and rebuild it: sqlite3 ${path} .recover | sqlite3 new.db`;
}

export type { Database };
