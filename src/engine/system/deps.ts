import type { Clock } from "../../base/lib/clock.ts";
import type {
  ContainerSummary,
  FirewallInfo,
  NRIInfo,
  PluginsInfo,
  Runtime,
} from "../../base/spec/docker/api.gen.ts";
import type { RegistryClient } from "../../core/distribution/distribution.ts";
import type { ImageStore } from "../../core/image/image.ts";
import type { HostFacts } from "../../core/runtime/spec.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { VolumeStore } from "../../core/volume/volume.ts";
import type { EventLog } from "../events/log.ts";
import type { ImageServiceDeps } from "../images/deps.ts";
import type { CheckDeps } from "./check/finding.ts";

/** What `info` and `df` need of containers; supplied by the containers service. */
export interface ContainerCensus {
  counts(): { readonly total: number; readonly running: number; readonly paused: number };
  /** All containers with their sizes, as `ps -a -s` lists them. */
  withSizes(): Promise<readonly ContainerSummary[]>;
}

/** What the build cache holds; a daemon without a builder has none. */
export interface BuildCacheCensus {
  /** Layers that it alone keeps; their sizes are in `usage`. */
  snapshots(): ReadonlySet<string>;
  usage(): Promise<{
    readonly active: number;
    readonly total: number;
    readonly reclaimable: number;
    readonly size: number;
    readonly items: readonly unknown[];
  }>;
}

/** A program the daemon drives. `version` is looked up when `version` or `info` asks, not before. */
export interface Component {
  readonly name: string;
  readonly version: () => Promise<string>;
  readonly details?: Readonly<Record<string, string>>;
}

/** How this daemon was built and configured: fixed for its life. */
export interface DaemonFacts {
  readonly version: string;
  readonly gitCommit: string;
  /** RFC 3339, or "" when unknown. */
  readonly buildTime: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
  /** A random id that the data root keeps. */
  readonly id: string;
  readonly dataRoot: string;
  readonly debug: boolean;
  /** Containers outlive the daemon; unless told otherwise they do. */
  readonly liveRestore?: boolean;
  readonly experimental: boolean;
  readonly labels: readonly string[];
  readonly proxy: { readonly http: string; readonly https: string; readonly no: string };
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  readonly logDriver: string;
  readonly defaultRuntime: string;
  readonly runtimes: Readonly<Record<string, Runtime>>;
  readonly initBinary: string;
  readonly plugins: PluginsInfo;
  readonly firewall: FirewallInfo;
  readonly nri: NRIInfo;
  /** e.g. "name=seccomp,profile=builtin". */
  readonly securityOptions: readonly string[];
  readonly cgroupDriver: string;
  readonly cdiSpecDirs: readonly string[];
  readonly warnings: readonly string[];
}

export interface SystemServiceDeps {
  readonly facts: DaemonFacts;
  readonly host: HostFacts;
  readonly components: readonly Component[];
  readonly containers: ContainerCensus;
  readonly images: ImageStore;
  readonly snapshots: Snapshotter;
  readonly volumes: VolumeStore;
  readonly buildCache?: BuildCacheCensus;
  /** The image service's own dependencies, for the shapes `df` shares with it. */
  readonly imageDeps: ImageServiceDeps;
  readonly registry: RegistryClient;
  /** What `system check` looks through. */
  readonly check: CheckDeps;
  readonly events: EventLog;
  readonly clock: Clock;
}
