import { mkdirSync } from "node:fs";
import type { Clock } from "../../base/lib/clock.ts";
import { invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Database } from "../../base/store/database.ts";
import { driversWithSnapshots } from "../../core/snapshot/records.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";

/** One row of the table of storage drivers. */
export interface StorageDriver {
  readonly name: string;
  /** Why it cannot keep its snapshots in the data root; undefined when it can. */
  problem(): string | undefined;
  /** Throws invalid for `--storage-opt` that it does not know. */
  open(): Promise<Snapshotter>;
}

export interface StorageDriverDeps {
  readonly db: Database;
  readonly dataRoot: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly options: readonly (readonly [key: string, value: string])[];
}

/**
 * The snapshotter of `--storage-driver`; else that of the data root's layers; else the first of the table that works here
 * (graphdriver.New of Docker, whose order the table has).
 */
export async function chooseSnapshotter(
  wanted: string | undefined,
  drivers: readonly StorageDriver[],
  deps: StorageDriverDeps,
): Promise<Snapshotter> {
  const { log } = deps;
  mkdirSync(deps.dataRoot, { recursive: true });
  const prior = driversWithSnapshots(deps.db);
  const chosen =
    wanted === undefined
      ? (priorDriver(prior, drivers, deps.dataRoot) ?? firstFit(drivers, log))
      : named(wanted, drivers);
  const problem = chosen.problem();
  if (problem !== undefined) {
    throw new TugError("not-implemented", `error initializing graphdriver: ${chosen.name}: ${problem}`);
  }
  for (const other of prior) {
    if (other === chosen.name) continue;
    log.warn(
      "the data root also holds layers of another storage driver, which take space and cannot be used with this one",
      { driver: chosen.name, other, "way-out": `start with --storage-driver ${other} to use or remove them` },
    );
  }
  try {
    return await chosen.open();
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    throw new TugError(error.code, `error initializing graphdriver: ${messageOf(error)}`, { cause: error });
  }
}

function named(wanted: string, drivers: readonly StorageDriver[]): StorageDriver {
  // What Docker calls its image store on overlay.
  const name = wanted === "overlayfs" ? "overlay2" : wanted;
  if (["aufs", "overlay"].includes(name)) {
    throw invalid(
      `error initializing graphdriver: [graphdriver] ERROR: the ${name} storage-driver has been deprecated and removed; visit https://docs.docker.com/go/storage-driver/ for more information: its successor is overlay2`,
    );
  }
  const found = drivers.find((driver) => driver.name === name);
  if (!found) throw invalid(`error initializing graphdriver: driver not supported: ${wanted}`);
  return found;
}

/** The driver whose layers are there. vfs counts only alone: Docker leaves it out, but layers must not vanish either. */
function priorDriver(
  prior: readonly string[],
  drivers: readonly StorageDriver[],
  dataRoot: string,
): StorageDriver | undefined {
  const counted = prior.length > 1 ? prior.filter((name) => name !== "vfs") : prior;
  if (counted.length > 1) {
    throw invalid(
      `error initializing graphdriver: ${dataRoot} contains several valid graphdrivers: ${counted.join(", ")}; cleanup or explicitly choose storage driver (-s <DRIVER>)`,
    );
  }
  return drivers.find((driver) => driver.name === counted[0]);
}

function firstFit(drivers: readonly StorageDriver[], log: Log): StorageDriver {
  for (const driver of drivers) {
    const problem = driver.problem();
    if (problem === undefined) {
      if (driver.name === "vfs")
        log.warn(
          "no storage driver that shares layers works here: each layer and container is a whole copy (vfs)",
        );
      return driver;
    }
    log.info("a storage driver cannot be used here", { driver: driver.name, problem });
  }
  throw new TugError("not-implemented", "error initializing graphdriver: no supported storage driver found");
}

/** `--storage-opt` pairs of one driver by their keys in lower case, all of which it must know. */
export function readDriverOptions(
  options: StorageDriverDeps["options"],
  known: readonly string[],
  unknown: (key: string) => string,
): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of options) {
    if (!known.includes(key.toLowerCase())) throw invalid(unknown(key));
    values.set(key.toLowerCase(), value);
  }
  return values;
}
