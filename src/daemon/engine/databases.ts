import { join } from "node:path";
import type { Log } from "../../base/lib/log.ts";
import { type Database, openDatabase } from "../../base/store/database.ts";
import { reserveSpace } from "../../base/store/reserve.ts";
import { remedyOf, type UnreadableRecord, UnreadableRecords } from "../../base/store/unreadable.ts";

/** The daemon's SQLite files, by how much a power cut may take. */
export interface Databases extends Disposable {
  /** Images, snapshots, volumes: a record is on disk when the call returns. */
  readonly durable: Database;
  /**
   * Containers and networks: synced a moment after each change (`SyncSoon`), so that only the last moments may be lost with the power.
   * Recovery makes them agree with the world again, and after a power cut no container runs anyway; not waiting makes every start faster.
   */
  readonly state: Database;
  readonly events: Database;
  /** What could not be read of them. */
  readonly unreadable: UnreadableRecords;
  readonly all: readonly { readonly path: string; readonly database: Database }[];
}

export function openDatabases(dataRoot: string, log: Log): Databases {
  const durable = openDatabase(join(dataRoot, "store.db"));
  const state = openDatabase(join(dataRoot, "state.db"), { durable: false });
  const events = openDatabase(join(dataRoot, "events.db"), { durable: false });
  // An event that does not fit is lost; a state that cannot be written would keep containers from ending and being removed.
  for (const database of [durable, state]) reserveSpace(database);
  return {
    durable,
    state,
    events,
    unreadable: new UnreadableRecords({
      noticed: (record) =>
        log.error("a record cannot be read, going on without it", {
          ...fieldsOf(record),
          error: record.problem,
          remedy: remedyOf(record),
        }),
      repaired: (record) => log.warn("a record that could not be read was written again", fieldsOf(record)),
    }),
    all: [
      { path: join(dataRoot, "store.db"), database: durable },
      { path: join(dataRoot, "state.db"), database: state },
      { path: join(dataRoot, "events.db"), database: events },
    ],
    [Symbol.dispose]: () => {
      for (const database of [durable, state, events]) database.close();
    },
  };
}

function fieldsOf({ file, table, column, key: [, key] }: UnreadableRecord): Record<string, string> {
  return { database: file, table, column, key };
}
