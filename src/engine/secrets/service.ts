import type { Clock } from "../../base/lib/clock.ts";
import { conflict, invalid, notFound, TugError } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import type { Secret, SecretSpec } from "../../base/spec/docker/api.gen.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { readObject, UnreadableRecords } from "../../base/store/unreadable.ts";
import type { EventPublisher } from "../events/event.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import type { Sealing } from "./sealing.ts";

const migrations = [
  `CREATE TABLE secret (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     labels TEXT NOT NULL,
     version INTEGER NOT NULL,
     created TEXT NOT NULL,
     updated TEXT NOT NULL,
     sealed BLOB NOT NULL
   ) STRICT;`,
];

/** As in Docker: 500 KiB. */
const largest = 500 * 1024;

export interface SecretServiceDeps {
  readonly database: Database;
  readonly sealing: Sealing;
  readonly events: EventPublisher;
  readonly clock: Clock;
  readonly unreadable?: UnreadableRecords;
  /** Names of the containers that were made with a secret. */
  readonly usersOf: (id: string) => readonly string[];
}

type Row = {
  id: string;
  name: string;
  labels: string;
  version: number;
  created: string;
  updated: string;
  sealed: Uint8Array;
};

/** Secrets of this node: encrypted at rest, given to containers as files on a tmpfs, never told back. */
export class SecretService {
  readonly #deps: SecretServiceDeps;
  readonly #unreadable: UnreadableRecords;

  constructor(deps: SecretServiceDeps) {
    this.#deps = deps;
    this.#unreadable = deps.unreadable ?? new UnreadableRecords();
    migrate(deps.database, "secrets", migrations);
  }

  async list(wire: WireFilters): Promise<readonly Secret[]> {
    const filters = Filters.parse(wire, ["id", "name", "names", "label"]);
    return this.#deps.database
      .query<Row, []>("SELECT * FROM secret ORDER BY name")
      .all()
      .filter(
        (row) =>
          filters.prefix("id", row.id) &&
          filters.match("name", row.name) &&
          filters.exact("names", row.name) &&
          filters.matchLabels("label", this.#labelsOf(row)),
      )
      .map((row) => this.#toWire(row));
  }

  async create(spec: SecretSpec): Promise<{ readonly ID: string }> {
    const name = spec.Name ?? "";
    checkName(name);
    if (spec.Driver) {
      throw new TugError(
        "not-implemented",
        `secret driver ${JSON.stringify(spec.Driver.Name)} is not available on this node`,
      );
    }
    if (spec.Templating)
      throw new TugError("not-implemented", "templated secrets are not available on this node");
    const data = decodeBase64(spec.Data ?? "");
    if (data.length === 0 || data.length >= largest) {
      throw invalid(`secret data must be larger than 0 and less than ${largest} bytes`);
    }
    const { database, sealing } = this.#deps;
    if (this.#find(name)?.name === name) throw conflict(`secret ${name} already exists`);
    const id = randomId().slice(0, 25);
    const now = new Date(this.#deps.clock.now()).toISOString();
    database
      .query(
        "INSERT INTO secret (id, name, labels, version, created, updated, sealed) VALUES (?, ?, ?, 1, ?, ?, ?)",
      )
      .run(id, name, JSON.stringify(spec.Labels ?? {}), now, now, sealing.seal(id, data));
    this.#publish("create", id, name);
    return { ID: id };
  }

  async inspect(reference: string): Promise<Secret> {
    return this.#toWire(this.#get(reference));
  }

  async remove(reference: string): Promise<void> {
    const row = this.#get(reference);
    const users = this.#deps.usersOf(row.id);
    if (users.length > 0) {
      throw conflict(
        `secret '${row.name}' is in use by the following container${users.length > 1 ? "s" : ""}: ${users.join(", ")}`,
      );
    }
    this.#deps.database.query("DELETE FROM secret WHERE id = ?").run(row.id);
    this.#publish("remove", row.id, row.name);
  }

  async update(reference: string, version: number, spec: SecretSpec): Promise<void> {
    const row = this.#get(reference);
    if (row.version !== version) throw conflict("update out of sequence");
    if ((spec.Name ?? row.name) !== row.name || (spec.Data ?? "") !== "") {
      throw invalid("only updates to Labels are allowed");
    }
    const now = new Date(this.#deps.clock.now()).toISOString();
    this.#deps.database
      .query("UPDATE secret SET labels = ?, version = version + 1, updated = ? WHERE id = ?")
      .run(JSON.stringify(spec.Labels ?? {}), now, row.id);
    this.#publish("update", row.id, row.name);
  }

  /** Id and name of what a container is to get; throws not-found. */
  resolve(reference: string): { readonly id: string; readonly name: string } {
    const { id, name } = this.#get(reference);
    return { id, name };
  }

  /** The plain text, for a container's tmpfs and nobody else. */
  reveal(id: string): Buffer {
    const row = this.#get(id);
    return this.#deps.sealing.open(row.id, row.sealed);
  }

  #publish(action: string, id: string, name: string): void {
    this.#deps.events.publish({ type: "secret", action, id, attributes: { name } });
  }

  /** A secret whose labels cannot be read is shown with none: containers need what is in it. */
  #labelsOf(row: Row): Record<string, string> {
    const at = { table: "secret", column: "labels", key: ["id", row.id] } as const;
    const labels = this.#unreadable.read(this.#deps.database, at, () =>
      readObject<Record<string, string>>(row.labels),
    );
    return labels ?? {};
  }

  #toWire(row: Row): Secret {
    return {
      ID: row.id,
      Version: { Index: row.version },
      CreatedAt: row.created,
      UpdatedAt: row.updated,
      Spec: { Name: row.name, Labels: this.#labelsOf(row) },
    };
  }

  #get(reference: string): Row {
    const row = this.#find(reference);
    if (!row) throw notFound(`secret ${reference} not found`);
    return row;
  }

  /** By id, name, or unique id prefix. */
  #find(reference: string): Row | undefined {
    const { database } = this.#deps;
    const exact = database
      .query<Row, [string, string]>(
        "SELECT * FROM secret WHERE id = ?1 OR name = ?2 ORDER BY id = ?1 DESC LIMIT 1",
      )
      .get(reference, reference);
    if (exact || !/^[0-9a-f]+$/.test(reference)) return exact ?? undefined;
    const found = database
      .query<Row, [string, string]>("SELECT * FROM secret WHERE id >= ? AND id < ? LIMIT 2")
      .all(reference, `${reference}g`);
    if (found.length > 1) throw invalid(`secret ${reference} is ambiguous (${found.length} matches found)`);
    return found[0];
  }
}

function checkName(name: string): void {
  if (!/^[a-zA-Z0-9]+(?:[a-zA-Z0-9_.-]*[a-zA-Z0-9])?$/.test(name) || name.length > 64) {
    throw invalid(
      "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]",
    );
  }
}

function decodeBase64(text: string): Buffer {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw invalid("secret data is not valid base64");
  return Buffer.from(text, "base64");
}
