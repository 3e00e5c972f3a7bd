import { conflict, invalid, notFound } from "../../base/lib/errors.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import { Signal } from "../../base/lib/signal.ts";
import { type Database, type Migration, migrate } from "../../base/store/database.ts";
import { readObject, UnreadableRecords } from "../../base/store/unreadable.ts";
import type { ContainerDefinition, ContainerRecord, ContainerStateRecord } from "./record.ts";

const migrations: readonly Migration[] = [
  `CREATE TABLE container (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     definition TEXT NOT NULL,
     state TEXT NOT NULL
   ) STRICT`,
];

/**
 * The containers: rows in SQLite and the same records in memory. A change is written first and seen after; both happen in
 * one turn of the event loop, so a reader never sees half of it.
 */
export class ContainerStore {
  readonly #db: Database;
  readonly #records = new Map<ContainerId, ContainerRecord>();
  readonly #names = new Map<string, ContainerId>();
  /** Names of containers that are being made. */
  readonly #reserved = new Map<string, ContainerId>();
  readonly #setAside = new Set<ContainerId>();

  /** Notified at every change of any record, for those who wait for a state. */
  readonly changed = new Signal();

  constructor(db: Database, unreadable = new UnreadableRecords()) {
    this.#db = db;
    migrate(db, "containers", migrations);
    const rows = db
      .query<{ id: ContainerId; name: string; definition: string; state: string }, []>(
        "SELECT id, name, definition, state FROM container ORDER BY rowid",
      )
      .all();
    for (const { id, name, ...row } of rows) {
      const at = (column: string) => ({ table: "container", column, key: ["id", id] }) as const;
      const definition = unreadable.read(db, at("definition"), () =>
        readObject<ContainerDefinition>(row.definition, ["config", "host", "mounts", "networks", "driver"]),
      );
      const state = unreadable.read(db, at("state"), () =>
        readObject<ContainerStateRecord>(row.state, ["status", "endpoints"]),
      );
      if (definition && state) {
        this.#see({ id, name, definition, state });
        continue;
      }
      this.#setAside.add(id);
      this.#reserved.set(name, id);
    }
  }

  /**
   * Containers whose record cannot be read. They are not listed, and what they have stays: name, directory, writable layer, volumes,
   * endpoints, and their processes.
   */
  get setAside(): ReadonlySet<ContainerId> {
    return this.#setAside;
  }

  get size(): number {
    return this.#records.size;
  }

  list(): Iterable<ContainerRecord> {
    return this.#records.values();
  }

  get(id: ContainerId): ContainerRecord | undefined {
    return this.#records.get(id);
  }

  byName(name: string): ContainerRecord | undefined {
    const id = this.#names.get(name);
    return id === undefined ? undefined : this.#records.get(id);
  }

  /** By full id, name (with or without slash), or unique id prefix, in this order as Docker does. */
  resolve(reference: string): ContainerRecord {
    if (reference === "") throw invalid('invalid name or ID supplied: ""');
    const exact = this.#records.get(reference as ContainerId);
    if (exact) return exact;
    const named = this.byName(reference.startsWith("/") ? reference.slice(1) : reference);
    if (named) return named;
    if (/^[0-9a-f]{1,64}$/.test(reference)) {
      let found: ContainerRecord | undefined;
      for (const [id, record] of this.#records) {
        if (!id.startsWith(reference)) continue;
        if (found) throw invalid(`multiple IDs found with provided prefix: ${reference}`);
        found = record;
      }
      if (found) return found;
    }
    throw notFound(`No such container: ${reference}`);
  }

  /** Takes a name for a container that is being made; released by `insert` or by disposing. */
  reserve(name: string, id: ContainerId): Disposable {
    this.#refuseTaken(name);
    this.#reserved.set(name, id);
    return { [Symbol.dispose]: () => void this.#reserved.delete(name) };
  }

  isTaken(name: string): boolean {
    return this.#names.has(name) || this.#reserved.has(name);
  }

  insert(record: ContainerRecord): void {
    this.#db
      .query("INSERT INTO container (id, name, definition, state) VALUES (?, ?, ?, ?)")
      .run(record.id, record.name, JSON.stringify(record.definition), JSON.stringify(record.state));
    this.#see(record);
  }

  /** Writes and returns the record with `change` laid over its state. */
  setState(id: ContainerId, change: Partial<ContainerStateRecord>): ContainerRecord {
    const record = this.#mustGet(id);
    const state = { ...record.state, ...change };
    this.#db.query("UPDATE container SET state = ? WHERE id = ?").run(JSON.stringify(state), id);
    return this.#see({ ...record, state });
  }

  /**
   * What happened in the world cannot be refused: where it cannot be written (the disk is full), it is seen all the same, and
   * written with the next change. `unwritten` hears why.
   */
  noteState(
    id: ContainerId,
    change: Partial<ContainerStateRecord>,
    unwritten: (error: unknown) => void,
  ): ContainerRecord {
    try {
      return this.setState(id, change);
    } catch (error) {
      const record = this.#mustGet(id);
      unwritten(error);
      return this.#see({ ...record, state: { ...record.state, ...change } });
    }
  }

  setDefinition(id: ContainerId, change: Partial<ContainerDefinition>): ContainerRecord {
    const record = this.#mustGet(id);
    const definition = { ...record.definition, ...change };
    this.#db.query("UPDATE container SET definition = ? WHERE id = ?").run(JSON.stringify(definition), id);
    return this.#see({ ...record, definition });
  }

  rename(id: ContainerId, name: string): ContainerRecord {
    const record = this.#mustGet(id);
    this.#refuseTaken(name);
    this.#db.query("UPDATE container SET name = ? WHERE id = ?").run(name, id);
    this.#names.delete(record.name);
    return this.#see({ ...record, name });
  }

  delete(id: ContainerId): void {
    const record = this.#records.get(id);
    this.#db.query("DELETE FROM container WHERE id = ?").run(id);
    this.#records.delete(id);
    if (record) this.#names.delete(record.name);
    this.changed.notify();
  }

  #refuseTaken(name: string): void {
    const holder = this.#names.get(name) ?? this.#reserved.get(name);
    if (holder === undefined) return;
    throw conflict(
      `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
    );
  }

  #mustGet(id: ContainerId): ContainerRecord {
    const record = this.#records.get(id);
    if (!record) throw notFound(`No such container: ${id}`);
    return record;
  }

  #see(record: ContainerRecord): ContainerRecord {
    this.#records.set(record.id, record);
    this.#names.set(record.name, record.id);
    this.changed.notify();
    return record;
  }
}
