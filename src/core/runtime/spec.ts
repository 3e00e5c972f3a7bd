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
  readonly kernel: HostFacts;
}

export interface SpecMount {
  readonly target: string;
  readonly source: string;
  readonly type: "bind" | "tmpfs";
  readonly readonly: boolean;
  /** Extra mount(8) options: propagation, size=, mode=, nosuid ... */
  readonly options: readonly string[];
}

export interface IdMap {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** What this host can give, probed once at start. */
export interface HostFacts {
  readonly cgroup: "v1" | "v2";
  readonly controllers: readonly string[];
  readonly architecture: string;
  readonly apparmor: boolean;
  readonly selinux: boolean;
  readonly cpus: number;
  /** Capabilities the daemon itself holds (bounding set): --privileged takes these and no more. */
  readonly capabilities: readonly string[];
  /** Hard limits of the daemon, by rlimit name: never raised above. */
  readonly hardLimits: Readonly<Record<string, number>>;
  readonly canLowerOomScore: boolean;
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
