import { lookup } from "node:dns/promises";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Backends } from "../api/backend.ts";
import { systemClock } from "../base/lib/clock.ts";
import { invalid, messageOf, TugError } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";
import { databaseProblems } from "../base/store/database.ts";
import { SyncSoon } from "../base/store/sync-soon.ts";
import { cgroupPathsFor, probeCgroups, removeCgroup, removeEmptyCgroup } from "../base/sys/cgroup.ts";
import { FilesClient } from "../core/files/client.ts";
import type { LogDriver } from "../core/logging/logging.ts";
import { createNetworkService } from "../core/network/service.ts";
import { loadApparmorProfile } from "../core/runtime/apparmor.ts";
import { createTaskRuntime } from "../core/runtime/drivers/conmon/conmon.ts";
import { probeHost } from "../core/runtime/host-facts.ts";
import { volumeContents } from "../core/volume/contents.ts";
import { SqliteVolumeStore } from "../core/volume/store.ts";
import { CheckpointService } from "../engine/checkpoints/service.ts";
import { ContainerCensus } from "../engine/containers/census.ts";
import { ContainerConnections } from "../engine/containers/connect.ts";
import type { ContainerContext } from "../engine/containers/context.ts";
import { handleExit, handleOom } from "../engine/containers/lifecycle/exit.ts";
import { stopWithDaemon } from "../engine/containers/lifecycle/stop.ts";
import { containersWithSecret, isAlive } from "../engine/containers/record.ts";
import { recoverContainers } from "../engine/containers/recovery.ts";
import { ContainerLifecycle, ContainerQueries, ContainerStreams } from "../engine/containers/service.ts";
import { networkToJoin } from "../engine/containers/start/spec-input.ts";
import { EventLog } from "../engine/events/log.ts";
import type { ExecService } from "../engine/exec/service.ts";
import { FilesService } from "../engine/files/service.ts";
import { watchHealth } from "../engine/health/monitor.ts";
import { ImageService } from "../engine/images/service.ts";
import { NetworkService } from "../engine/networks/service.ts";
import { fileKeySealing } from "../engine/secrets/sealing.ts";
import { SecretService } from "../engine/secrets/service.ts";
import { SystemService } from "../engine/system/service.ts";
import { announceVolumes } from "../engine/volumes/announced.ts";
import { VolumeService } from "../engine/volumes/service.ts";
import { type ComposedBuilder, composeBuilder } from "./builder.ts";
import { logDrivers, openSnapshotter, volumeDrivers } from "./builtins.ts";
import type { DaemonConfig } from "./config/config.ts";
import { containerContext, execService } from "./containers.ts";
import { openDatabases } from "./databases.ts";
import { helperCommand } from "./executable.ts";
import { findProgram } from "./find-program.ts";
import { composeImages } from "./images.ts";
import { networkConfig } from "./network-config.ts";
import { openRemap } from "./remap.ts";
import { layoutOf, limitRealtime, openRuntimes } from "./runtimes.ts";
import { seccompProfile } from "./seccomp-profile.ts";
import { adviseOnRuntime, components, daemonFacts, daemonId } from "./system.ts";

export interface Engine extends AsyncDisposable {
  readonly backends: Backends;
  readonly builder: ComposedBuilder;
  /** Makes records and world agree; returns the starts that may go on while the daemon serves. */
  recover(options: { readonly machineWentDown: boolean }): Promise<() => Promise<void>>;
  /** Stops every container as the daemon itself stops, which gives each so many seconds; negative: as long as it takes. */
  stopContainers(seconds: number): Promise<void>;
  /** SIGHUP changed the configuration. */
  reload(): void;
  /** A daemon event. */
  announce(action: string, attributes: Readonly<Record<string, string>>): void;
}

/** Puts the parts together: the only place where every one of them is known. */
export async function composeEngine(config: DaemonConfig, log: Log): Promise<Engine> {
  const clock = systemClock;
  await using stack = new AsyncDisposableStack();
  for (const name of ["containers", "seccomp"])
    mkdirSync(join(config.dataRoot, name), { recursive: true, mode: 0o700 });
  mkdirSync(join(config.execRoot, "containers"), { recursive: true, mode: 0o700 });
  const remap = stack.use(await openRemap(config.usernsRemap, { ...config, log }));
  const databases = stack.use(openDatabases(config.dataRoot, log));
  const hierarchy = probeCgroups();
  await loadApparmorProfile(log);
  const facts = probeHost({
    hierarchy,
    ...seccompProfile(config.seccompProfile),
    cdiDirs: config.cdiSpecDirs,
    selinux: config.selinux,
  });
  if (config.selinux && !facts.selinux) log.warn("Docker could not enable SELinux on the host system");
  const layout = layoutOf(config, hierarchy);
  limitRealtime(config, { facts, hierarchy, layout });
  // What changed is announced: the records of it, which are not synced one by one, follow soon.
  const records = stack.use(
    new SyncSoon({
      databases: databases.all.map(({ path }) => path),
      failed: (error) => log.error("records may not be on disk", { error: messageOf(error) }),
    }),
  );
  const events = new EventLog({ database: databases.events, clock, log, published: () => records.touch() });
  // Only the parent that is named for this daemon is its own to remove.
  const ownCgroup =
    config.cgroupParent === undefined && layout.driver === "cgroupfs"
      ? cgroupPathsFor(hierarchy, layout.parent)
      : {};
  // A start that fails leaves none behind either: trying the runtimes out makes it.
  stack.defer(() => removeEmptyCgroup(ownCgroup));
  const runtimes = await openRuntimes(config, { hierarchy, layout, log });
  const drivers = logDrivers({ clock, log });
  checkLogOptions(config, drivers);
  const conmon = findProgram(["conmon"]);
  if (!conmon)
    throw new TugError("not-implemented", "conmon was not found: install it, it holds the containers");
  const runtime = stack.use(
    createTaskRuntime({ conmon, runtimes: runtimes.all, defaultRuntime: runtimes.default, hierarchy, log }),
  );
  const snapshots = await openSnapshotter({
    db: databases.durable,
    dataRoot: config.dataRoot,
    clock,
    log,
    wanted: config.storageDriver,
    options: config.storageOptions,
  });
  const local = volumeDrivers({
    dataRoot: config.dataRoot,
    lookup: async (host) => (await lookup(host)).address,
  });
  const volumes = announceVolumes(
    new SqliteVolumeStore({
      database: databases.durable,
      drivers: local.drivers,
      contents: volumeContents,
      clock,
      unreadable: databases.unreadable,
    }),
    events,
  );
  const networks = createNetworkService({
    database: databases.state,
    unreadable: databases.unreadable,
    clock,
    log,
    instance: config.instance,
    config: networkConfig(config),
    execRoot: config.execRoot,
    helperCommand: helperCommand(),
  });
  // Asked only after the builder is there.
  let keptByBuilds: () => Iterable<string> = () => [];
  const images = composeImages({
    otherLayers: () => keptByBuilds(),
    config,
    log,
    clock,
    database: databases.durable,
    unreadable: databases.unreadable,
    snapshots,
    events,
  });
  const secrets: SecretService = new SecretService({
    database: databases.durable,
    unreadable: databases.unreadable,
    sealing: fileKeySealing(join(config.dataRoot, "secrets")),
    events,
    clock,
    usersOf: (id) => containersWithSecret(context.store.list(), id),
  });
  const context: ContainerContext = containerContext({
    config,
    database: databases.state,
    unreadable: databases.unreadable,
    clock,
    log,
    images: images.store,
    snapshots,
    volumes,
    networks,
    secrets,
    remap,
    runtime,
    runtimes,
    cgroups: layout,
    logDrivers: drivers,
    events,
    facts,
    hooks: { running: (record) => watchHealth(context, record, exec) },
  });
  // With nothing running, nothing of ours needs to stay on the host.
  const idle = () =>
    context.store.setAside.size === 0 && [...context.store.list()].every((one) => !isAlive(one));
  stack.defer(() => networks.shutdown({ everything: idle() }));
  stack.defer(() => {
    if (idle()) removeCgroup(ownCgroup);
  });
  const exec: ExecService = execService(context);
  stack.use(
    runtime.onExit((exit) => {
      if (exec.handleExit(exit)) return;
      handleExit(context, exit).catch((error: unknown) =>
        log.error("handling the exit of a container", { id: exit.id, error }),
      );
    }),
  );
  stack.use(runtime.onOom(({ id }) => handleOom(context, id)));
  const files = new FilesClient({ helperCommand: helperCommand() });
  const census = new ContainerCensus(context);
  const imageDeps = images.serviceDeps(census);
  const builder = stack.use(
    await composeBuilder({
      config,
      database: databases.durable,
      images,
      imageDeps,
      snapshots,
      networks,
      joinable: (container) => networkToJoin(context, container),
      runtimes,
      hierarchy,
      layout,
      facts,
      remap,
      defaults: context.defaults,
      events,
      clock,
      log,
    }),
  );
  keptByBuilds = () => builder.store.cache.wantedLayers();
  const programs = components([
    { name: "conmon", path: conmon },
    ...[...runtimes.all.values()].map(({ name, path }) => ({ name, path })),
  ]);
  adviseOnRuntime(programs, runtimes.default, log).catch((error: unknown) =>
    log.debug("asking the runtime for its version", { error: messageOf(error) }),
  );
  const system = new SystemService({
    facts: daemonFacts({
      config,
      host: facts,
      remapped: remap !== undefined,
      runtimes,
      cgroupDriver: layout.driver,
      initPath: context.defaults.initPath,
      logDrivers: [...context.logDrivers.keys()],
      volumeDrivers: [...local.drivers.keys()],
      networkDrivers: ["bridge", "host", "ipvlan", "macvlan", "null"],
    }),
    host: facts,
    components: programs,
    containers: census,
    images: images.store,
    snapshots,
    volumes,
    imageDeps,
    buildCache: builder.collector,
    registry: imageDeps.registry,
    check: {
      databases: databases.all.map(({ path, database }) => ({
        name: path,
        problems: (quick) => databaseProblems(database, quick),
      })),
      unreadable: databases.unreadable,
      content: images.content,
      images: images.store,
      snapshots,
      unpacker: images.unpacker,
      layerSize: imageDeps.layerSize,
      registry: imageDeps.registry,
      containers: census,
      volumes,
      volumeRoot: join(config.dataRoot, "volumes"),
    },
    events,
    clock,
  });
  const owned = stack.move();
  return {
    backends: {
      lifecycle: new ContainerLifecycle(context),
      containers: new ContainerQueries(context, files),
      streams: new ContainerStreams(context),
      exec,
      files: new FilesService({
        containers: context,
        files,
        commit: {
          content: images.content,
          images: images.store,
          unpacker: images.unpacker,
          complete: imageDeps.complete,
        },
      }),
      images: new ImageService(imageDeps),
      volumes: new VolumeService({ store: volumes, events, clock }),
      networks: new NetworkService({
        networks,
        containers: new ContainerConnections(context),
        defaultOptions: config.networkOptions,
        events,
        clock,
      }),
      system,
      secrets,
      checkpoints: new CheckpointService(context),
    },
    recover: async (options) => {
      await builder.recover();
      await images.recover();
      await exec.recover();
      const { startWanted } = await recoverContainers(context, options);
      // After the containers: what they hold is in use.
      await local.recover(volumes);
      await builder.recoverSteps();
      return startWanted;
    },
    builder,
    stopContainers: (seconds) => stopWithDaemon(context, seconds),
    reload: () => runtimes.reload(),
    announce: (action, attributes) =>
      events.publish({ type: "daemon", action, id: daemonId(config.dataRoot), attributes }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The daemon's own log options must be ones that its log driver takes. A driver that is missing fails where it is used, as in Docker. */
function checkLogOptions(config: DaemonConfig, drivers: ReadonlyMap<string, LogDriver>): void {
  try {
    drivers.get(config.logDriver)?.validate(config.logOptions);
  } catch (error) {
    throw invalid(`failed to set log opts: ${messageOf(error)}`, error);
  }
}
