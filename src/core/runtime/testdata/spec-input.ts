import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import { CAPABILITIES } from "../../../base/sys/process/capabilities.ts";
import type { DeviceNode, HostFacts, SpecInput } from "../spec.ts";
import { BUILTIN_SECCOMP, generateSpec } from "../spec/generate.ts";

/** All that cgroups can bound. */
export const everything = {
  memory: true,
  memoryReservation: true,
  swap: true,
  swappiness: true,
  oomKillDisable: true,
  cpuShares: true,
  cpuCfs: true,
  cpuRealtime: true,
  cpuset: true,
  pids: true,
  blkioWeight: true,
  blkioWeightDevice: true,
  blkioReadBps: true,
  blkioWriteBps: true,
  blkioReadIops: true,
  blkioWriteIops: true,
};
const node = (path: string, type: "c" | "b", major: number, minor: number): DeviceNode => ({
  path,
  type,
  major,
  minor,
  fileMode: 0o660,
  uid: 0,
  gid: 6,
});
const nodes = [node("/dev/kvm", "c", 10, 232), node("/dev/sda", "b", 8, 0), node("/dev/pts/0", "c", 136, 0)];
/** A host that can do everything, with some devices. */
export const facts: HostFacts = {
  cgroup: "v1",
  controllers: ["memory", "cpu"],
  cgroupFeatures: everything,
  architecture: "amd64",
  kernelVersion: [6, 1],
  apparmor: false,
  apparmorProfile: undefined,
  selinux: false,
  cpus: 2,
  cpusetCpus: "0-1",
  cpusetMems: "0",
  capabilities: CAPABILITIES.filter((name) => name !== "CAP_SYS_RESOURCE"),
  hardLimits: { RLIMIT_NOFILE: 20_000 },
  canLowerOomScore: false,
  ownOomScore: 0,
  extraMaskedPaths: ["/sys/devices/system/cpu/cpu0/thermal_throttle"],
  defaultSysctls: {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
  },
  devices: {
    node: (path) => nodes.find((entry) => entry.path === path),
    exists: (path) => path === "/etc/passwd" || nodes.some((entry) => entry.path === path),
    below: (directory) =>
      directory.startsWith("/dev")
        ? nodes.filter((entry) => entry.path.startsWith(`${directory}/`))
        : undefined,
  },
  cdi: () => [
    {
      kind: "acme.com/gpu",
      containerEdits: { env: ["ACME=1"] },
      devices: [
        {
          name: "0",
          containerEdits: {
            deviceNodes: [{ path: "/dev/acme0", hostPath: "/dev/kvm" }],
            mounts: [{ hostPath: "/usr/lib/acme", containerPath: "/usr/lib/acme" }],
            hooks: [{ hookName: "createContainer", path: "/bin/hook" }],
          },
        },
      ],
    },
  ],
  seccompProfile: BUILTIN_SECCOMP,
};
/** Namespaces of its own. */
export const hidden = {
  pid: "private",
  network: "private",
  ipc: "private",
  uts: "private",
  mount: "private",
} as const;

/** A container without options. */
export function input(host: HostConfig = {}, overrides: Partial<SpecInput> = {}): SpecInput {
  return {
    id: "c1",
    hostname: "box",
    domainname: "",
    args: ["sh"],
    env: ["PATH=/bin"],
    cwd: "/",
    tty: false,
    user: { uid: 0, gid: 0, additionalGids: [0] },
    rootfs: "/rootfs",
    mounts: [],
    host,
    namespaces: { ...hidden, cgroup: "host", user: "host" },
    cgroupsPath: "/tug/c1",
    init: undefined,
    annotations: {},
    kernel: facts,
    ...overrides,
  };
}

/** What tests look at of a specification. */
interface Generated {
  readonly process: {
    readonly args: string[];
    readonly env: string[];
    readonly capabilities: { readonly bounding: string[]; readonly inheritable?: string[] };
    readonly rlimits?: { readonly type: string; readonly hard: number; readonly soft: number }[];
    readonly noNewPrivileges?: boolean;
    readonly oomScoreAdj?: number;
  };
  readonly mounts: { readonly destination: string; readonly source: string; readonly options: string[] }[];
  readonly hooks?: Record<string, unknown[]>;
  readonly annotations?: Record<string, string>;
  readonly linux: {
    readonly namespaces: { readonly type: string; readonly path?: string }[];
    readonly resources: Record<string, unknown> & { readonly devices: { readonly major?: number }[] };
    readonly devices?: { readonly path: string }[];
    readonly sysctl?: Record<string, string>;
    readonly maskedPaths?: string[];
    readonly readonlyPaths?: string[];
    readonly seccomp?: { readonly syscalls: { readonly names: string[] }[] };
    readonly uidMappings?: unknown[];
  };
}

/** The specification of a container with those options. */
export const generate = (host: HostConfig = {}, overrides: Partial<SpecInput> = {}) => {
  const { spec, warnings } = generateSpec(input(host, overrides));
  return { spec: spec as unknown as Generated, warnings };
};
/** What is mounted at a place. */
export const mountAt = (spec: Generated, target: string) =>
  spec.mounts.find((mount) => mount.destination === target);
