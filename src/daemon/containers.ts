import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/lib/clock.ts";
import { internal } from "../base/lib/errors.ts";
import type { Log } from "../base/lib/log.ts";
import { KeyedMutex } from "../base/lib/mutex.ts";
import type { Database } from "../base/store/database.ts";
import type { UnreadableRecords } from "../base/store/unreadable.ts";
import type { ImageStore } from "../core/image/image.ts";
import type { LogDriver } from "../core/logging/logging.ts";
import type { NetworkService } from "../core/network/network.ts";
import type { CgroupLayout } from "../core/runtime/cgroup-driver.ts";
import type { OciSpec, TaskRuntime } from "../core/runtime/runtime.ts";
import { generateExecProcess } from "../core/runtime/spec/exec-process.ts";
import { generateResources, generateSpec } from "../core/runtime/spec/generate.ts";
import type { HostFacts } from "../core/runtime/spec.ts";
import type { Snapshotter } from "../core/snapshot/snapshotter.ts";
import type { VolumeStore } from "../core/volume/volume.ts";
import type { ContainerContext, ContainerDefaults, ContainerHooks } from "../engine/containers/context.ts";
import { LiveTable } from "../engine/containers/live.ts";
import type { ContainerRecord } from "../engine/containers/record.ts";
import type { Remap } from "../engine/containers/remap.ts";
import type { SecretSource } from "../engine/containers/secret-source.ts";
import { ContainerStore } from "../engine/containers/store.ts";
import type { EventPublisher } from "../engine/events/event.ts";
import { ExecService } from "../engine/exec/service.ts";
import type { DaemonConfig } from "./config/config.ts";
import { findProgram } from "./find-program.ts";
import type { Runtimes } from "./runtimes.ts";

export interface ContainerParts {
  readonly config: DaemonConfig;
  readonly database: Database;
  readonly unreadable: UnreadableRecords;
  readonly clock: Clock;
  readonly log: Log;
  readonly images: ImageStore;
  readonly snapshots: Snapshotter;
  readonly volumes: VolumeStore;
  readonly networks: NetworkService;
  readonly secrets: SecretSource;
  readonly remap: Remap | undefined;
  readonly runtime: TaskRuntime;
  readonly runtimes: Runtimes;
  readonly cgroups: CgroupLayout;
  readonly logDrivers: ReadonlyMap<string, LogDriver>;
  readonly events: EventPublisher;
  readonly facts: HostFacts;
  readonly hooks: ContainerHooks;
}

/** What the operations on containers work with. */
export function containerContext(parts: ContainerParts): ContainerContext {
  const { config } = parts;
  const root = join(config.dataRoot, "containers");
  const states = join(config.execRoot, "containers");
  return {
    clock: parts.clock,
    log: parts.log,
    store: new ContainerStore(parts.database, parts.unreadable),
    live: new LiveTable(),
    locks: new KeyedMutex(),
    images: parts.images,
    snapshots: parts.snapshots,
    volumes: parts.volumes,
    networks: parts.networks,
    secrets: parts.secrets,
    remap: parts.remap,
    runtime: parts.runtime,
    logDrivers: parts.logDrivers,
    events: parts.events,
    spec: { generate: generateSpec, resources: generateResources },
    facts: parts.facts,
    paths: {
      root,
      states,
      dir: (id) => join(root, id),
      rootfs: (id) => join(root, id, "rootfs"),
      task: (id) => ({ bundle: join(root, id), state: join(states, id) }),
    },
    defaults: containerDefaults(parts),
    hooks: parts.hooks,
  };
}

function containerDefaults(parts: ContainerParts): ContainerDefaults {
  const { config, networks, facts } = parts;
  return {
    logDriver: config.logDriver,
    logOptions: config.logOptions,
    ulimits: config.ulimits,
    dns: config.dns,
    dnsOptions: config.dnsOptions,
    dnsSearch: config.dnsSearch,
    // These are what SIGHUP changes.
    get shmSize() {
      return config.shmSize;
    },
    get ipcMode() {
      return config.ipcMode;
    },
    noNewPrivileges: config.noNewPrivileges,
    init: config.init,
    initPath: config.initPath ?? findProgram(["docker-init", "tini", "tini-static", "catatonit"]),
    cgroupnsMode: config.cgroupnsMode ?? (facts.cgroup === "v2" ? "private" : "host"),
    cgroups: parts.cgroups,
    get runtime() {
      return parts.runtimes.default;
    },
    get runtimes() {
      return [...parts.runtimes.all.keys()];
    },
    publishIp: "",
    stopTimeout: 10,
    hostGateway: () => config.hostGatewayIps[0] ?? gatewayOfBridge(networks),
  };
}

/** The host as containers of the default network see it. */
function gatewayOfBridge(networks: NetworkService): string | undefined {
  return networks.list().find((network) => network.name === "bridge")?.ipam.config[0]?.gateway;
}

/** A spec larger than this was not written by us. */
const specLimit = 8 * 1024 * 1024;

export function execService(containers: ContainerContext): ExecService {
  return new ExecService({
    containers,
    generate: generateExecProcess,
    specOf: async (record: ContainerRecord) => {
      const path = join(containers.paths.task(record.id).state, "config.json");
      const text = await readFile(path, "utf8");
      if (text.length > specLimit) throw internal(`${path} is too large`);
      return JSON.parse(text) as OciSpec;
    },
  });
}
