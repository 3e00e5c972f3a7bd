import type { Log } from "../../../base/lib/log.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import type { CgroupHierarchy } from "../../../base/sys/cgroup/cgroup.ts";
import type { NetworkService } from "../../../core/network/network.ts";
import type { CgroupLayout } from "../../../core/runtime/cgroup-driver.ts";
import type { Emulation } from "../../../core/runtime/emulation.ts";
import type { OciRuntime } from "../../../core/runtime/oci.ts";
import type { HostFacts, IdMap } from "../../../core/runtime/spec.ts";
import type { Mount } from "../../../core/snapshot/snapshotter.ts";
import type { CacheMounts } from "../../cache/mounts/cache-mounts.ts";
import type { StepSnapshots } from "../runner.ts";

/** What RUN steps work with. */
export interface ExecDeps {
  /** A directory of the builder's alone that a reboot empties (below the exec root). */
  readonly root: string;
  /** The runtime of that name if there is one (a step that another daemon began), else the daemon's choice, which SIGHUP changes. */
  readonly runtime: (name?: string) => OciRuntime;
  readonly hierarchy: CgroupHierarchy;
  readonly cgroups: CgroupLayout;
  readonly facts: HostFacts;
  /** This machine, and how it runs programs of others at the moment. */
  readonly hostPlatform: Platform;
  readonly emulation: (platform: Platform) => Emulation;
  readonly networks: StepNetworks;
  /** The network of a running container (`--network container:NAME`). Throws not-found, and conflict for one that does not run. */
  readonly joinable: (container: string) => JoinableNetwork;
  readonly snapshots: StepSnapshots;
  readonly caches: CacheMounts;
  /** Of a daemon that maps its containers' ids. */
  readonly remap: StepRemap | undefined;
  readonly defaults: ExecDefaults;
  readonly log: Log;
}

/** What steps use of the daemon's networks. */
export type StepNetworks = Pick<
  NetworkService,
  "resolve" | "allocate" | "attach" | "release" | "resolverAddress"
>;

export interface JoinableNetwork {
  /** Of its init process. */
  readonly pid: number;
  /** Paths of what it has as /etc/hosts and /etc/resolv.conf. */
  readonly hosts: string;
  readonly resolvConf: string;
}

/** The daemon's settings for containers, read at each step. */
export interface ExecDefaults {
  /** The network of steps that ask for none in particular. */
  readonly network: string;
  readonly dns: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly dnsSearch: readonly string[];
  /** What `host-gateway` stands for. */
  readonly hostGateway: () => string | undefined;
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly shmSize: number;
  readonly cgroupnsMode: "private" | "host";
}

/** Ids of steps mapped as those of containers are (`--userns-remap`): on the disk are the ids that the step sees. */
export interface StepRemap {
  readonly maps: { readonly uid: readonly IdMap[]; readonly gid: readonly IdMap[] };
  /** Who root of a step is on the host. */
  readonly root: { readonly uid: number; readonly gid: number };
  /** Mounts a snapshot, by its key or chain id, with mapped ids; `mounts` is what it takes without. */
  mount(snapshot: string, mounts: readonly Mount[], target: string): void;
  /** Mounts a directory with mapped ids. Throws EINVAL where its file system cannot. */
  bind(source: string, target: string): void;
}
