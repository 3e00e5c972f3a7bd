import type { Clock } from "../../base/lib/clock.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { KeyedMutex } from "../../base/lib/mutex.ts";
import type { ImageStore } from "../../core/image/image.ts";
import type { LogDriver } from "../../core/logging/logging.ts";
import type { NetworkService } from "../../core/network/network.ts";
import type { CgroupLayout } from "../../core/runtime/cgroup-driver.ts";
import type { TaskDirs, TaskRuntime } from "../../core/runtime/runtime.ts";
import type { GenerateResources, GenerateSpec, HostFacts } from "../../core/runtime/spec.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { VolumeStore } from "../../core/volume/volume.ts";
import type { EventPublisher } from "../events/event.ts";
import type { LiveTable } from "./live.ts";
import type { ContainerRecord } from "./record.ts";
import type { Remap } from "./remap.ts";
import type { SecretSource } from "./secret-source.ts";
import type { ContainerStore } from "./store.ts";

/** What every operation on containers works with; the daemon composes it once. */
export interface ContainerContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly store: ContainerStore;
  readonly live: LiveTable;
  /** One lock a container: an operation that changes it holds it. */
  readonly locks: KeyedMutex;
  readonly images: ImageStore;
  readonly snapshots: Snapshotter;
  readonly volumes: VolumeStore;
  readonly networks: NetworkService;
  readonly secrets: SecretSource;
  /** Containers get a user namespace with these maps, unless they say otherwise; undefined: none does. */
  readonly remap: Remap | undefined;
  readonly runtime: TaskRuntime;
  readonly logDrivers: ReadonlyMap<string, LogDriver>;
  readonly events: EventPublisher;
  readonly spec: { readonly generate: GenerateSpec; readonly resources: GenerateResources };
  readonly facts: HostFacts;
  readonly paths: ContainerPaths;
  readonly defaults: ContainerDefaults;
  readonly hooks: ContainerHooks;
}

/** What other services do when a container runs; set by the daemon, so that containers need not know them. */
export interface ContainerHooks {
  /** Called with a container that runs (started or re-adopted); what it returns is disposed at the exit. */
  running(record: ContainerRecord): Disposable | undefined;
}

export interface ContainerPaths {
  /** Parent of all containers' directories. */
  readonly root: string;
  /** Parent of all tasks' directories. */
  readonly states: string;
  /** Durable directory of one container. */
  dir(id: ContainerId): string;
  /** Where its root file system is mounted. */
  rootfs(id: ContainerId): string;
  task(id: ContainerId): TaskDirs;
}

/** What the daemon's configuration fills in where a request says nothing. */
export interface ContainerDefaults {
  readonly logDriver: string;
  readonly logOptions: Readonly<Record<string, string>>;
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly shmSize: number;
  readonly noNewPrivileges: boolean;
  readonly init: boolean;
  /** undefined: this host has no init program. */
  readonly initPath: string | undefined;
  readonly ipcMode: string;
  readonly cgroupnsMode: string;
  readonly cgroups: CgroupLayout;
  readonly runtime: string;
  readonly runtimes: readonly string[];
  /** Host address that publications without one listen on. */
  readonly publishIp: string;
  /** Seconds between the stop signal and SIGKILL. */
  readonly stopTimeout: number;
  /** What `host-gateway` in --add-host stands for; also host.docker.internal. */
  hostGateway(): string | undefined;
}
