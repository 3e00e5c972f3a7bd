import { type Database, migrate } from "../../base/store/database.ts";
import { readObject, type UnreadableRecords } from "../../base/store/unreadable.ts";
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
];

interface Row {
  readonly id: string;
  readonly record: string;
}

/** Networks and endpoints in SQLite, mirrored in memory: reads cost nothing, writes are synchronous. */
export class NetworkRecords {
  readonly networks = new Map<string, Network>();
  readonly endpoints = new Map<string, EndpointRecord>();
  readonly #db: Database;

  /** What cannot be read is left out, and with a network its endpoints. */
  constructor(db: Database, unreadable: UnreadableRecords) {
    this.#db = db;
    migrate(db, "network", migrations);
    const rows = (table: "network" | "endpoint") =>
      db.query<Row, []>(`SELECT id, record FROM ${table} ORDER BY rowid`).all();
    for (const { id, record } of rows("network")) {
      const at = { table: "network", column: "record", key: ["id", id] } as const;
      const fields = ["id", "name", "driver", "options", "ipam"] as const;
      const network = unreadable.read(db, at, () => readObject<Network>(record, fields));
      if (network) this.networks.set(network.id, network);
    }
    for (const { id, record } of rows("endpoint")) {
      const at = { table: "endpoint", column: "record", key: ["id", id] } as const;
      const fields = ["id", "network", "containerId", "ports"] as const;
      const endpoint = unreadable.read(db, at, () => readObject<EndpointRecord>(record, fields));
      if (endpoint && this.networks.has(endpoint.network)) this.endpoints.set(endpoint.id, endpoint);
    }
  }

  putNetwork(network: Network): void {
    this.#db
      .query(
        "INSERT INTO network (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
      )
      .run(network.id, JSON.stringify(network));
    this.networks.set(network.id, network);
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
