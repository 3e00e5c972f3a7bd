import { TugError } from "../../base/lib/errors.ts";
import type { NetworkId } from "../../base/lib/ids.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { type RecordAt, readObject, type UnreadableRecords } from "../../base/store/unreadable.ts";
import type { Endpoint, Network, PortPublication } from "./network.ts";

/** All that is known of an endpoint: what was asked, what it got, and where it is plugged in. */
export interface EndpointRecord extends Endpoint {
  readonly hostname: string;
  readonly requestedPorts: readonly PortPublication[];
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly links: Readonly<Record<string, string>>;
  readonly dns: {
    readonly servers: readonly string[];
    readonly options: readonly string[];
    readonly search: readonly string[];
  };
  readonly gatewayPriority: number;
  /** Interface on the host and in the container; "" while not attached. */
  readonly hostInterface: string;
  readonly containerInterface: string;
  /** Process whose namespace it is attached to, and its start time against reuse of the number; 0: none. */
  readonly pid: number;
  readonly startTime: string;
}

const migrations = [
  `CREATE TABLE network (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
   CREATE TABLE endpoint (
     id TEXT PRIMARY KEY,
     network TEXT NOT NULL REFERENCES network (id) ON DELETE CASCADE,
     record TEXT NOT NULL
   ) STRICT`,
  // Beside the record: whose a record is that cannot be read.
  `ALTER TABLE network ADD COLUMN name TEXT NOT NULL DEFAULT '';
   UPDATE network SET name = coalesce(json_extract(record, '$.name'), '') WHERE json_valid(record)`,
];

interface Row {
  readonly id: string;
  readonly record: string;
}

/** A network whose record cannot be read: it is in no list, and its name stays its own. */
export interface DamagedNetwork {
  readonly id: NetworkId;
  readonly name: string;
  readonly endpoints: readonly EndpointRecord[];
}

/** Networks and endpoints in SQLite, mirrored in memory: reads cost nothing, writes are synchronous. */
export class NetworkRecords {
  readonly networks = new Map<string, Network>();
  readonly endpoints = new Map<string, EndpointRecord>();
  readonly #db: Database;
  readonly #unreadable: UnreadableRecords;
  readonly #damaged = new Map<string, DamagedNetwork>();

  /** What cannot be read is left out, and with a network its endpoints. */
  constructor(db: Database, unreadable: UnreadableRecords) {
    this.#db = db;
    this.#unreadable = unreadable;
    migrate(db, "network", migrations);
    const networks = db.query<Row & { readonly name: string }, []>(
      "SELECT id, name, record FROM network ORDER BY rowid",
    );
    for (const { id, name, record } of networks.all()) {
      const network = unreadable.read(db, recordOf("network", id), () => readNetwork(record));
      if (network) this.networks.set(network.id, network);
      else this.#damaged.set(id, { id: id as NetworkId, name, endpoints: [] });
    }
    for (const { id, record } of db.query<Row, []>("SELECT id, record FROM endpoint ORDER BY rowid").all()) {
      const fields = ["id", "network", "containerId", "ports"] as const;
      const read = () => readObject<EndpointRecord>(record, fields);
      const endpoint = unreadable.read(db, recordOf("endpoint", id), read);
      if (!endpoint) continue;
      const damaged = this.#damaged.get(endpoint.network);
      if (damaged) this.#damaged.set(damaged.id, { ...damaged, endpoints: [...damaged.endpoints, endpoint] });
      else if (this.networks.has(endpoint.network)) this.endpoints.set(endpoint.id, endpoint);
    }
  }

  damaged(name: string): DamagedNetwork | undefined {
    return this.damagedNetworks().find((network) => network.name === name);
  }

  damagedNetworks(): readonly DamagedNetwork[] {
    return [...this.#damaged.values()];
  }

  /** One that was damaged is whole again, and its endpoints are there. */
  putNetwork(network: Network): void {
    this.#db
      .query(
        "INSERT INTO network (id, name, record) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET name = excluded.name, record = excluded.record",
      )
      .run(network.id, network.name, JSON.stringify(network));
    this.networks.set(network.id, network);
    const damaged = this.#damaged.get(network.id);
    if (!damaged) return;
    this.#damaged.delete(network.id);
    for (const endpoint of damaged.endpoints) this.endpoints.set(endpoint.id, endpoint);
    this.#unreadable.repaired(this.#db, recordOf("network", network.id));
  }

  deleteNetwork(id: string): void {
    this.#db.query("DELETE FROM network WHERE id = ?1").run(id);
    this.networks.delete(id);
    for (const endpoint of this.ofNetwork(id)) this.endpoints.delete(endpoint.id);
  }

  putEndpoint(endpoint: EndpointRecord): void {
    this.#db
      .query(
        "INSERT INTO endpoint (id, network, record) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
      )
      .run(endpoint.id, endpoint.network, JSON.stringify(endpoint));
    this.endpoints.set(endpoint.id, endpoint);
  }

  deleteEndpoint(id: string): void {
    this.#db.query("DELETE FROM endpoint WHERE id = ?1").run(id);
    this.endpoints.delete(id);
  }

  ofNetwork(network: string): readonly EndpointRecord[] {
    return [...this.endpoints.values()].filter((endpoint) => endpoint.network === network);
  }

  ofContainer(containerId: string): readonly EndpointRecord[] {
    return [...this.endpoints.values()].filter((endpoint) => endpoint.containerId === containerId);
  }
}

const recordOf = (table: "network" | "endpoint", id: string): RecordAt => ({
  table,
  column: "record",
  key: ["id", id],
});

/** A network as it was written; throws data-loss where one of the parts that decide is of another kind. */
function readNetwork(text: string): Network {
  const network = readObject<Network>(text, ["id", "name", "driver", "options", "ipam"]);
  const pools: unknown = network.ipam.config;
  if (!Array.isArray(pools) || !pools.every((pool) => typeof pool === "object" && pool !== null))
    throw new TugError("data-loss", 'its "ipam.config" is no list of pools');
  for (const field of ["id", "name", "driver"] as const)
    if (typeof network[field] !== "string") throw new TugError("data-loss", `its "${field}" is no text`);
  if (typeof network.options !== "object")
    throw new TugError("data-loss", 'its "options" are no JSON object');
  return network;
}
