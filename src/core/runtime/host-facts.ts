import { type Dirent, existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { join } from "node:path";
import { type CgroupHierarchy, probeCgroups, readText } from "../../base/sys/cgroup/cgroup.ts";
import { ownBoundingSet } from "../../base/sys/process/capabilities.ts";
import { APPARMOR_PROFILE, apparmorEnabled, apparmorLoaded } from "./apparmor.ts";
import { cdiDocuments } from "./cdi.ts";
import { BUILTIN_SECCOMP } from "./spec/generate.ts";
import { UNLIMITED } from "./spec/rlimits.ts";
import type { CgroupFeatures, DeviceLookup, DeviceNode, HostFacts, SeccompProfile } from "./spec.ts";

/** Looks at this host once; load the AppArmor profile before. `seccompProfile` is the daemon's --seccomp-profile. */
export function probeHost(
  options: {
    readonly hierarchy?: CgroupHierarchy;
    readonly seccompProfile?: SeccompProfile | "unconfined";
    readonly cdiDirs?: readonly string[];
    /** dockerd's --selinux-enabled: labels only where the administrator wants them. */
    readonly selinux?: boolean;
  } = {},
): HostFacts {
  const hierarchy = options.hierarchy ?? probeCgroups();
  const capabilities = ownBoundingSet();
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  const cpus = availableParallelism();
  const apparmor = apparmorEnabled();
  const cpusets = cpusetLists(hierarchy, cpus);
  return {
    cgroup: hierarchy.version,
    controllers: hierarchy.controllers,
    cgroupFeatures: probeFeatures(hierarchy),
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    kernelVersion: [Number(major), Number(minor)],
    apparmor,
    apparmorProfile: apparmor && apparmorLoaded(APPARMOR_PROFILE) ? APPARMOR_PROFILE : undefined,
    selinux: options.selinux === true && existsSync("/sys/fs/selinux/enforce"),
    cpus,
    cpusetCpus: cpusets.cpus,
    cpusetMems: cpusets.mems,
    capabilities,
    hardLimits: capabilities.includes("CAP_SYS_RESOURCE") ? {} : hardLimits(),
    canLowerOomScore: capabilities.includes("CAP_SYS_RESOURCE"),
    ownOomScore: Number(readText("/proc/self/oom_score_adj")?.trim() ?? 0),
    extraMaskedPaths: Array.from(
      { length: cpus },
      (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`,
    ).filter((path) => existsSync(path)),
    defaultSysctls: Object.fromEntries(
      Object.entries({
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
      }).filter(([name]) => existsSync(`/proc/sys/${name.replaceAll(".", "/")}`)),
    ),
    devices: hostDevices,
    cdi: () => cdiDocuments(options.cdiDirs ?? ["/etc/cdi", "/var/run/cdi"]),
    seccompProfile: options.seccompProfile ?? BUILTIN_SECCOMP,
  };
}

/** The rlimits of this process (proc(5), "limits"). */
function hardLimits(): Readonly<Record<string, number>> {
  const names: Readonly<Record<string, string>> = {
    "cpu time": "CPU",
    "file size": "FSIZE",
    "data size": "DATA",
    "stack size": "STACK",
    "core file size": "CORE",
    "resident set": "RSS",
    processes: "NPROC",
    "open files": "NOFILE",
    "locked memory": "MEMLOCK",
    "file locks": "LOCKS",
    "pending signals": "SIGPENDING",
    "msgqueue size": "MSGQUEUE",
    "nice priority": "NICE",
    "realtime priority": "RTPRIO",
    "realtime timeout": "RTTIME",
  };
  const limits: Record<string, number> = {};
  for (const line of readFileSync("/proc/self/limits", "utf8").split("\n")) {
    const match = /^Max (.+?)\s{2,}(\S+)\s+(\S+)/.exec(line);
    const name = match?.[1] && names[match[1]];
    if (name) limits[`RLIMIT_${name}`] = match[3] === "unlimited" ? UNLIMITED : Number(match[3]);
  }
  return limits;
}

function probeFeatures(hierarchy: CgroupHierarchy): CgroupFeatures {
  const all = new Set(hierarchy.controllers);
  if (hierarchy.version === "v2") {
    const cpu = all.has("cpu");
    const memory = all.has("memory");
    const io = all.has("io");
    return {
      memory,
      memoryReservation: memory,
      swap: memory && existsSync("/proc/swaps"),
      swappiness: false,
      oomKillDisable: false,
      cpuShares: cpu,
      cpuCfs: cpu,
      cpuRealtime: false,
      cpuset: all.has("cpuset"),
      pids: all.has("pids"),
      blkioWeight: io,
      blkioWeightDevice: io,
      blkioReadBps: io,
      blkioWriteBps: io,
      blkioReadIops: io,
      blkioWriteIops: io,
    };
  }
  const file = (controller: string, name: string) => {
    const mount = hierarchy.mounts.get(controller);
    return mount !== undefined && existsSync(join(mount.path, name));
  };
  return {
    memory: file("memory", "memory.limit_in_bytes"),
    memoryReservation: file("memory", "memory.soft_limit_in_bytes"),
    swap: file("memory", "memory.memsw.limit_in_bytes"),
    swappiness: file("memory", "memory.swappiness"),
    oomKillDisable: file("memory", "memory.oom_control"),
    cpuShares: file("cpu", "cpu.shares"),
    cpuCfs: file("cpu", "cpu.cfs_quota_us"),
    cpuRealtime: file("cpu", "cpu.rt_runtime_us"),
    cpuset: hierarchy.mounts.has("cpuset"),
    pids: hierarchy.mounts.has("pids"),
    blkioWeight: file("blkio", "blkio.weight") || file("blkio", "blkio.bfq.weight"),
    blkioWeightDevice: file("blkio", "blkio.weight_device") || file("blkio", "blkio.bfq.weight_device"),
    blkioReadBps: file("blkio", "blkio.throttle.read_bps_device"),
    blkioWriteBps: file("blkio", "blkio.throttle.write_bps_device"),
    blkioReadIops: file("blkio", "blkio.throttle.read_iops_device"),
    blkioWriteIops: file("blkio", "blkio.throttle.write_iops_device"),
  };
}

function cpusetLists(hierarchy: CgroupHierarchy, cpus: number): { cpus: string; mems: string } {
  const directory = hierarchy.mounts.get(hierarchy.version === "v2" ? "" : "cpuset")?.path;
  const read = (...names: string[]) => {
    for (const name of names) {
      const text = directory && readText(join(directory, name))?.trim();
      if (text) return text;
    }
    return undefined;
  };
  return {
    cpus: read("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus") ?? `0-${cpus - 1}`,
    mems: read("cpuset.mems.effective", "cpuset.effective_mems", "cpuset.mems") ?? "0",
  };
}

const hostDevices: DeviceLookup = {
  node: (path) => deviceAt(path, true),
  exists: existsSync,
  below(directory, enters = () => true) {
    let root: string;
    try {
      if (!statSync(directory).isDirectory()) return undefined;
      root = realpathSync(directory);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const found: DeviceNode[] = [];
    const visit = (path: string, shown: string) => {
      for (const entry of entriesOf(path)) {
        const [below, name] = [join(path, entry.name), join(shown, entry.name)];
        if (entry.isDirectory() && enters(name)) visit(below, name);
        const node = entry.isCharacterDevice() || entry.isBlockDevice() ? deviceAt(below, false) : undefined;
        if (node) found.push({ ...node, path: name });
      }
    };
    visit(root, directory);
    return found;
  },
};

/** Nothing of a directory that went away meanwhile, or lies too deep for a path: no device is there. */
function entriesOf(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === "ENAMETOOLONG") return [];
    throw error;
  }
}

function deviceAt(path: string, follow: boolean): DeviceNode | undefined {
  try {
    const stat = statSync(follow ? realpathSync(path) : path);
    const type = stat.isCharacterDevice() ? "c" : stat.isBlockDevice() ? "b" : undefined;
    if (!type) return undefined;
    const { major, minor } = deviceNumber(stat.rdev);
    return { path, type, major, minor, fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** glibc's makedev layout: minor in bits 0-7 and 20-31, major in bits 8-19 (and 32 up). */
function deviceNumber(rdev: number): { readonly major: number; readonly minor: number } {
  const low = rdev % 2 ** 32;
  return {
    major: ((low >>> 8) & 0xfff) + Math.floor(rdev / 2 ** 44) * 4096,
    minor: (low & 0xff) | ((low >>> 12) & 0xfff00),
  };
}

const isMissing = (error: unknown) =>
  ["ENOENT", "ENOTDIR", "EACCES", "ELOOP"].includes((error as NodeJS.ErrnoException).code ?? "");
