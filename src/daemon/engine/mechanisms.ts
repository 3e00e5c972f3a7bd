import { lookup } from "node:dns/promises";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../base/lib/clock.ts";
import { invalid, messageOf, TugError } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { SyncSoon } from "../../base/store/sync-soon.ts";
import { removeEmptyCgroup } from "../../base/sys/cgroup/cgroup.ts";
import type { LogDriver } from "../../core/logging/logging.ts";
import type { NetworkService } from "../../core/network/network.ts";
import { createNetworkService } from "../../core/network/service.ts";
import { createTaskRuntime } from "../../core/runtime/drivers/conmon/conmon.ts";
import type { TaskRuntime } from "../../core/runtime/runtime.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import { volumeContents } from "../../core/volume/contents.ts";
import { SqliteVolumeStore } from "../../core/volume/store.ts";
import type { VolumeStore } from "../../core/volume/volume.ts";
import type { Remap } from "../../engine/containers/remap.ts";
import { EventLog } from "../../engine/events/log.ts";
import { announceVolumes } from "../../engine/volumes/announced.ts";
import type { DaemonConfig } from "../config/config.ts";
import { logDrivers, openSnapshotter, volumeDrivers } from "../drivers/builtins.ts";
import { helperCommand } from "../executable.ts";
import { findProgram } from "../find-program.ts";
import { type Databases, openDatabases } from "./databases.ts";
import { type HostParts, prepareHost } from "./host.ts";
import { networkConfig } from "./network-config.ts";
import { openRemap } from "./remap.ts";
import { openRuntimes, type Runtimes } from "./runtimes.ts";

/** The floor below the engine, with the drivers that the configuration and this host call for; images stand apart (`composeImages`). */
export interface Mechanisms extends HostParts {
  readonly config: DaemonConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly remap: Remap | undefined;
  readonly databases: Databases;
  readonly events: EventLog;
  readonly runtimes: Runtimes;
  /** conmon's path. */
  readonly conmon: string;
  readonly runtime: TaskRuntime;
  readonly logDrivers: ReadonlyMap<string, LogDriver>;
  readonly snapshots: Snapshotter;
  readonly volumeDrivers: ReturnType<typeof volumeDrivers>;
  readonly volumes: VolumeStore;
  readonly networks: NetworkService;
}

/** Opens them in the order in which they need each other; what has to be closed is pushed on `owned`. */
export async function openMechanisms(
  config: DaemonConfig,
  log: Log,
  owned: AsyncDisposableStack,
): Promise<Mechanisms> {
  const clock = systemClock;
  for (const name of ["containers", "seccomp"])
    mkdirSync(join(config.dataRoot, name), { recursive: true, mode: 0o700 });
  mkdirSync(join(config.execRoot, "containers"), { recursive: true, mode: 0o700 });
  const remap = owned.use(await openRemap(config.usernsRemap, { ...config, log }));
  const databases = owned.use(openDatabases(config.dataRoot, log));
  const host = await prepareHost(config, log);
  const basis = { config, clock, log, databases };
  const events = openEvents(basis, owned);
  // A start that fails leaves none behind either: trying the runtimes out makes it.
  owned.defer(() => removeEmptyCgroup(host.ownCgroup));
  const runtimes = await openRuntimes(config, { ...host, log });
  const drivers = logDrivers({ clock, log });
  checkLogOptions(config, drivers);
  const conmon = findProgram(["conmon"]);
  if (!conmon)
    throw new TugError("not-implemented", "conmon was not found: install it, it holds the containers");
  const { hierarchy } = host;
  const runtime = owned.use(
    createTaskRuntime({ conmon, runtimes: runtimes.all, defaultRuntime: runtimes.default, hierarchy, log }),
  );
  return {
    ...basis,
    ...host,
    remap,
    events,
    runtimes,
    conmon,
    runtime,
    logDrivers: drivers,
    snapshots: await openSnapshotter({
      db: databases.durable,
      dataRoot: config.dataRoot,
      clock,
      log,
      wanted: config.storageDriver,
      options: config.storageOptions,
    }),
    ...openVolumes(basis, events),
    networks: openNetworks(basis),
  };
}

type Basis = Pick<Mechanisms, "config" | "clock" | "log" | "databases">;

function openEvents({ databases, clock, log }: Basis, owned: AsyncDisposableStack): EventLog {
  // What changed is announced: the records of it, which are not synced one by one, follow soon.
  const records = owned.use(
    new SyncSoon({
      databases: databases.all.map(({ path }) => path),
      failed: (error) => log.error("records may not be on disk", { error: messageOf(error) }),
    }),
  );
  return new EventLog({ database: databases.events, clock, log, published: () => records.touch() });
}

function openVolumes(
  { config, databases, clock }: Basis,
  events: EventLog,
): Pick<Mechanisms, "volumeDrivers" | "volumes"> {
  const local = volumeDrivers({
    dataRoot: config.dataRoot,
    lookup: async (host) => (await lookup(host)).address,
  });
  const store = new SqliteVolumeStore({
    database: databases.durable,
    drivers: local.drivers,
    contents: volumeContents,
    clock,
    unreadable: databases.unreadable,
  });
  return { volumeDrivers: local, volumes: announceVolumes(store, events) };
}

function openNetworks({ config, databases, clock, log }: Basis): NetworkService {
  return createNetworkService({
    database: databases.state,
    unreadable: databases.unreadable,
    clock,
    log,
    instance: config.instance,
    config: networkConfig(config),
    execRoot: config.execRoot,
    helperCommand: helperCommand(),
  });
}

/** The daemon's own log options must be ones that its log driver takes. A driver that is missing fails where it is used, as in Docker. */
function checkLogOptions(config: DaemonConfig, drivers: ReadonlyMap<string, LogDriver>): void {
  try {
    drivers.get(config.logDriver)?.validate(config.logOptions);
  } catch (error) {
    throw invalid(`failed to set log opts: ${messageOf(error)}`, error);
  }
}
