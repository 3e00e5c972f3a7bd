import type { HostConfig } from "../../base/spec/docker/api.gen.ts";
import type { OciProcess, OciResources, OciSpec } from "./runtime.ts";

/**
 * Input of the OCI spec generator: everything already decided by the engine (image and request merged, users looked up,
 * mounts resolved, namespaces of other containers turned into paths). `generateSpec` is pure.
 */
export interface SpecInput {
  readonly id: string;
  readonly hostname: string;
  readonly domainname: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly tty: boolean;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly rootfs: string;
  /** Bind, volume, tmpfs mounts and the generated /etc/hosts, hostname, resolv.conf; sources are host paths. */
  readonly mounts: readonly SpecMount[];
  /** As the API takes it: capabilities, security options, resources, devices, ulimits, sysctls, masked paths ... */
  readonly host: HostConfig;
  /** "private" makes a new one; a path joins; "host" shares the host's. */
  readonly namespaces: Readonly<
    Record<"pid" | "network" | "ipc" | "uts" | "mount" | "cgroup" | "user", string>
  >;
  readonly cgroupsPath: string;
  readonly init: { readonly path: string } | undefined;
  /** Userns mappings when `namespaces.user` is private. */
  readonly idMappings?: { readonly uid: readonly IdMap[]; readonly gid: readonly IdMap[] };
  readonly annotations: Readonly<Record<string, string>>;
  /** The daemon's --default-ulimit; HostConfig.Ulimits win by name. */
  readonly defaultUlimits?: readonly {
    readonly Name: string;
    readonly Soft: number;
    readonly Hard: number;
  }[];
  readonly kernel: HostFacts;
}

export interface SpecMount {
  readonly target: string;
  readonly source: string;
  readonly type: "bind" | "tmpfs";
  readonly readonly: boolean;
  /**
   * Extra mount(8) options: propagation, size=, mode=, nosuid ... A bind is "rbind" and "rprivate" unless it says
   * otherwise. A read-only bind covers the mounts below it where the kernel can, unless it says "ro-non-recursive";
   * "ro-force-recursive" fails where it cannot.
   */
  readonly options: readonly string[];
}

export interface IdMap {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** What this host can give, probed once at start (host-facts.ts). */
export interface HostFacts {
  readonly cgroup: "v1" | "v2";
  readonly controllers: readonly string[];
  /** Resource controls that the kernel offers; what it lacks is dropped with Docker's warning. */
  readonly cgroupFeatures: CgroupFeatures;
  /** As Go names it (amd64, arm64), for seccomp profiles. */
  readonly architecture: string;
  /** Major and minor version of the kernel. */
  readonly kernelVersion: readonly [number, number];
  readonly apparmor: boolean;
  /** The loaded profile that containers get by default; undefined when none is. */
  readonly apparmorProfile: string | undefined;
  readonly selinux: boolean;
  readonly cpus: number;
  /** "0-3,8": what cpusets may name. */
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  /** Capabilities the daemon itself holds (bounding set): --privileged takes these and no more. */
  readonly capabilities: readonly string[];
  /** Hard limits of the daemon, by rlimit name: never raised above. Infinity where unlimited. */
  readonly hardLimits: Readonly<Record<string, number>>;
  readonly canLowerOomScore: boolean;
  /** The daemon's own oom_score_adj, which its children inherit unless told otherwise. */
  readonly ownOomScore: number;
  /** Default masked paths that exist on some machines only (per-CPU thermal throttling). */
  readonly extraMaskedPaths: readonly string[];
  /** Sysctls of /proc/sys that exist here, of those a container gets by default. */
  readonly defaultSysctls: Readonly<Record<string, string>>;
  /** The device nodes of this host. */
  readonly devices: DeviceLookup;
  /** Container Device Interface documents (/etc/cdi, /var/run/cdi), read anew each time. */
  readonly cdi: () => readonly CdiDocument[];
  /** The profile for containers that name none; the daemon's --seccomp-profile or the built-in one. */
  readonly seccompProfile: SeccompProfile | "unconfined";
}

/** Looks at device nodes: the only thing outside its input that the generator asks for. */
export interface DeviceLookup {
  /** The node at a path, symlinks followed; undefined when there is none or it is no device. */
  node(path: string): DeviceNode | undefined;
  exists(path: string): boolean;
  /** All nodes below a directory, but in directories that `enters` keeps it out of; undefined when it is none. */
  below(directory: string, enters?: (path: string) => boolean): readonly DeviceNode[] | undefined;
}

export interface DeviceNode {
  readonly path: string;
  readonly type: "c" | "b";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Which resource controls the kernel offers; `info` and warnings speak of them. */
export interface CgroupFeatures {
  readonly memory: boolean;
  readonly memoryReservation: boolean;
  readonly swap: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuShares: boolean;
  readonly cpuCfs: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
  readonly blkioWeight: boolean;
  readonly blkioWeightDevice: boolean;
  readonly blkioReadBps: boolean;
  readonly blkioWriteBps: boolean;
  readonly blkioReadIops: boolean;
  readonly blkioWriteIops: boolean;
}

/** A document of the Container Device Interface, version 0.3 to 1.0; only what is used of it. */
export interface CdiDocument {
  readonly kind: string;
  readonly containerEdits?: CdiEdits;
  readonly devices: readonly { readonly name: string; readonly containerEdits: CdiEdits }[];
}

export interface CdiEdits {
  readonly env?: readonly string[];
  readonly deviceNodes?: readonly {
    readonly path: string;
    readonly hostPath?: string;
    readonly type?: string;
    readonly major?: number;
    readonly minor?: number;
    readonly fileMode?: number;
    readonly permissions?: string;
    readonly uid?: number;
    readonly gid?: number;
  }[];
  readonly mounts?: readonly {
    readonly hostPath: string;
    readonly containerPath: string;
    readonly type?: string;
    readonly options?: readonly string[];
  }[];
  readonly hooks?: readonly {
    readonly hookName: string;
    readonly path: string;
    readonly args?: readonly string[];
    readonly env?: readonly string[];
    readonly timeout?: number;
  }[];
  readonly additionalGids?: readonly number[];
}

/** A seccomp profile in Docker's file format. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly archMap?: readonly {
    readonly architecture: string;
    readonly subArchitectures?: readonly string[] | null;
  }[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SeccompRule[] | null;
}

export interface SeccompRule {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArg[] | null;
  readonly comment?: string;
  readonly includes?: SeccompFilter;
  readonly excludes?: SeccompFilter;
}

export interface SeccompArg {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

export interface SeccompFilter {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

/** Implemented in spec/generate.ts. */
export type GenerateSpec = (input: SpecInput) => {
  readonly spec: OciSpec;
  readonly warnings: readonly string[];
};
export type GenerateExecProcess = (input: ExecInput) => OciProcess;
export type GenerateResources = (host: HostConfig, kernel: HostFacts) => OciResources;

export interface ExecInput {
  readonly container: OciSpec;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string | undefined;
  readonly tty: boolean;
  readonly consoleSize?: readonly [number, number];
  readonly user:
    | { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
    | undefined;
  readonly privileged: boolean;
  readonly kernel: HostFacts;
}
