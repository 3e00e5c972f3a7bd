import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { causeOf, messageOf, TugError } from "../base/lib/errors.ts";
import { type Database, databaseProblems, openDatabase, rebuildRemedy } from "../base/store/database.ts";

/** What a start without the file would mean. */
const withoutIt: Readonly<Record<string, string>> = {
  "store.db":
    "without it, images, volumes and secrets are unknown, and the next start removes layers that no record names",
  "state.db":
    "without it, containers and networks are unknown, and the next start removes what containers wrote outside of volumes",
  "events.db": "without it, only the past events are lost: it may be moved away",
};

/**
 * What a start failed with; where SQLite found a database file damaged (SQLITE_CORRUPT, SQLITE_NOTADB), it says which one and what can be done.
 * SQLite's error names no file, so the files are looked through.
 */
export function tellingDamage(error: unknown, dataRoot: string): unknown {
  const cause = causeOf(error);
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (!code.startsWith("SQLITE_CORRUPT") && code !== "SQLITE_NOTADB") return error;
  const told = Object.keys(withoutIt).flatMap((name) => {
    const path = join(dataRoot, name);
    const problem = existsSync(path) ? problemOf(path) : undefined;
    return problem === undefined ? [] : [tell(path, problem)];
  });
  if (told.length === 0) return error;
  return new TugError("data-loss", told.join("\n"), { cause: error });
}

function problemOf(path: string): string | undefined {
  let database: Database | undefined;
  try {
    database = openDatabase(path);
    return databaseProblems(database, true)[0];
  } catch (error) {
    return messageOf(error);
  } finally {
    database?.close();
  }
}

function tell(path: string, problem: string): string {
  const remedy = `restore ${path} from a backup, or ${rebuildRemedy(path)}`;
  return `the database ${path} is damaged (${problem}) and the daemon does not start, so that nothing is lost: ${remedy}; then put new.db in its place, and remove ${basename(path)}-wal and ${basename(path)}-shm; ${withoutIt[basename(path)]}`;
}
