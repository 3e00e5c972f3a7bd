import type { Clock } from "../../base/lib/clock.ts";
import { conflict, messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { KeyedMutex } from "../../base/lib/mutex.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { readObject, UnreadableRecords } from "../../base/store/unreadable.ts";
import type { NewVolume, Volume, VolumeDriver, VolumeStore } from "./volume.ts";

const migrations = [
  `CREATE TABLE volume (
     name TEXT PRIMARY KEY,
     driver TEXT NOT NULL,
     labels TEXT NOT NULL,
     options TEXT NOT NULL,
     created_at TEXT NOT NULL,
     anonymous INTEGER NOT NULL,
     populating INTEGER NOT NULL DEFAULT 0
   );
   CREATE TABLE volume_reference (
     name TEXT NOT NULL REFERENCES volume (name),
     container TEXT NOT NULL,
     PRIMARY KEY (name, container)
   ) WITHOUT ROWID;
   CREATE INDEX volume_reference_container ON volume_reference (container);`,
];

/** Label that Docker puts on volumes nobody named; `volume prune` goes by it. */
const anonymousLabel = "com.docker.volume.anonymous";

/** Fills an empty volume and measures it; apart from the store so that it can be tested by itself. */
export interface VolumeContents {
  /** True when the directory has no entry. */
  isEmpty(directory: string): Promise<boolean>;
  /** Copies the tree at `path` inside `root` into `directory`; false when there is no directory at that path. */
  copyUp(root: string, path: string, directory: string): Promise<boolean>;
  /** Removes every entry of `directory`, never following links out of it. */
  clear(directory: string): Promise<void>;
  /** Bytes on disk. */
  usage(directory: string): Promise<number>;
}

export interface VolumeStoreDeps {
  readonly database: Database;
  readonly drivers: ReadonlyMap<string, VolumeDriver>;
  readonly contents: VolumeContents;
  readonly clock: Clock;
  readonly unreadable?: UnreadableRecords;
}

type Row = {
  name: string;
  driver: string;
  labels: string;
  options: string;
  created_at: string;
  anonymous: number;
  populating: number;
};

/** The volumes of one daemon in SQLite: records, durable references, and the one lock a volume's operations take. */
export class SqliteVolumeStore implements VolumeStore {
  readonly #deps: VolumeStoreDeps;
  readonly #unreadable: UnreadableRecords;
  readonly #locks = new KeyedMutex();

  constructor(deps: VolumeStoreDeps) {
    this.#deps = deps;
    this.#unreadable = deps.unreadable ?? new UnreadableRecords();
    migrate(deps.database, "volumes", migrations);
  }

  async create(wanted: NewVolume): Promise<Volume> {
    const anonymous = wanted.anonymous ?? wanted.name === "";
    const name = wanted.name || randomId();
    const driverName = wanted.driver === undefined || wanted.driver === "" ? "local" : wanted.driver;
    return await this.#locks.run(name, async () => {
      const known = this.get(name);
      if (known) {
        // Docker takes a second create for the first one unless another driver is asked for; its options are not compared.
        if (known.driver === driverName || wanted.driver === undefined || wanted.driver === "") return known;
        throw conflict(
          `create ${name}: driver '${known.driver}' already has volume '${name}': volume name must be unique`,
        );
      }
      const options = wanted.options ?? {};
      await prefixed(`create ${name}`, () => this.#driver(driverName).create(name, options));
      const labels = { ...wanted.labels, ...(anonymous ? { [anonymousLabel]: "" } : {}) };
      this.#deps.database
        .query(
          "INSERT INTO volume (name, driver, labels, options, created_at, anonymous) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .run(
          name,
          driverName,
          JSON.stringify(labels),
          JSON.stringify(options),
          formatRfc3339Nano(BigInt(Math.trunc(this.#deps.clock.now() / 1000)) * 1_000_000_000n),
          anonymous ? 1 : 0,
        );
      return this.#require(name);
    });
  }

  get(name: string): Volume | undefined {
    const row = this.#row(name);
    return row ? this.#volume(row) : undefined;
  }

  list(): readonly Volume[] {
    return this.#deps.database
      .query<Row, []>("SELECT * FROM volume ORDER BY name")
      .all()
      .map((row) => this.#volume(row));
  }

  async remove(name: string, options: { readonly force: boolean }): Promise<void> {
    await this.#locks.run(name, async () => {
      const volume = this.get(name);
      if (!volume) {
        if (options.force) return;
        throw notFound(`get ${name}: no such volume`);
      }
      const holders = this.references(name);
      if (holders.length > 0) {
        throw conflict(`remove ${name}: volume is in use - [${holders.join(", ")}]`);
      }
      await prefixed(`remove ${name}`, () => this.#driver(volume.driver).remove(name));
      this.#deps.database.query("DELETE FROM volume WHERE name = ?").run(name);
    });
  }

  reference(name: string, containerId: string): void {
    this.#require(name);
    this.#deps.database
      .query("INSERT OR IGNORE INTO volume_reference (name, container) VALUES (?, ?)")
      .run(name, containerId);
  }

  release(name: string, containerId: string): void {
    this.#deps.database
      .query("DELETE FROM volume_reference WHERE name = ? AND container = ?")
      .run(name, containerId);
  }

  references(name: string): readonly string[] {
    return this.#deps.database
      .query<{ container: string }, [string]>(
        "SELECT container FROM volume_reference WHERE name = ? ORDER BY container",
      )
      .all(name)
      .map((row) => row.container);
  }

  async mount(name: string, containerId: string): Promise<string> {
    return await this.#locks.run(name, async () => {
      const volume = this.#require(name);
      const mounted = await prefixed(`error while mounting volume '${volume.mountpoint}'`, () =>
        this.#driver(volume.driver).mount(name, containerId),
      );
      await this.#repair(name, mounted);
      return mounted;
    });
  }

  async unmount(name: string, containerId: string): Promise<void> {
    await this.#locks.run(name, async () => {
      const volume = this.get(name);
      if (volume) await this.#driver(volume.driver).unmount(name, containerId);
    });
  }

  async populate(name: string, imageRoot: string, pathInImage: string): Promise<void> {
    await this.#locks.run(name, async () => {
      const volume = this.#require(name);
      const driver = this.#driver(volume.driver);
      const holder = `populate-${name}`;
      const directory = await driver.mount(name, holder);
      try {
        await this.#repair(name, directory);
        if (!(await this.#deps.contents.isEmpty(directory))) return;
        this.#setPopulating(name, true);
        await this.#deps.contents.copyUp(imageRoot, pathInImage, directory);
        this.#setPopulating(name, false);
      } finally {
        await driver.unmount(name, holder);
      }
    });
  }

  async usage(name: string): Promise<number> {
    const volume = this.#require(name);
    if (volume.driver !== "local" || volume.mountpoint === "") return -1;
    return await this.#deps.contents.usage(volume.mountpoint);
  }

  /**
   * A copy that a crash cut short is thrown away, so that the next container finds the volume empty and copies again. Nobody can
   * have used the half: a container starts only after its volumes are filled.
   */
  async #repair(name: string, directory: string): Promise<void> {
    if (this.#row(name)?.populating !== 1) return;
    await this.#deps.contents.clear(directory);
    this.#setPopulating(name, false);
  }

  #setPopulating(name: string, on: boolean): void {
    this.#deps.database.query("UPDATE volume SET populating = ? WHERE name = ?").run(on ? 1 : 0, name);
  }

  #row(name: string): Row | null {
    return this.#deps.database.query<Row, [string]>("SELECT * FROM volume WHERE name = ?").get(name);
  }

  #require(name: string): Volume {
    const volume = this.get(name);
    if (!volume) throw notFound(`get ${name}: no such volume`);
    return volume;
  }

  #driver(name: string): VolumeDriver {
    const driver = this.#deps.drivers.get(name);
    if (!driver) throw notFound(`error looking up volume plugin ${name}: plugin "${name}" not found`);
    return driver;
  }

  #volume(row: Row): Volume {
    const driver = this.#deps.drivers.get(row.driver);
    const [labels, options] = (["labels", "options"] as const).map((column) => {
      const at = { table: "volume", column, key: ["name", row.name] } as const;
      return this.#unreadable.read(this.#deps.database, at, () =>
        readObject<Record<string, string>>(row[column]),
      );
    });
    return {
      name: row.name,
      driver: row.driver,
      mountpoint: driver?.path(row.name) ?? "",
      labels: labels ?? {},
      options: options ?? {},
      scope: driver?.scope ?? "local",
      createdAt: row.created_at,
      anonymous: row.anonymous === 1,
      unreadable: labels === undefined || options === undefined,
    };
  }
}

/** Docker names the operation in front of what the driver says. */
async function prefixed<T>(prefix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof TugError) {
      throw new TugError(error.code, `${prefix}: ${error.message}`, { cause: error, detail: error.detail });
    }
    throw new TugError("internal", `${prefix}: ${messageOf(error)}`, { cause: error });
  }
}
