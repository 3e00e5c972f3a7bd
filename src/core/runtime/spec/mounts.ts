import { invalid } from "../../../base/lib/errors.ts";
import type { SpecInput, SpecMount } from "../spec.ts";

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;
const PROPAGATIONS = [
  "private",
  "rprivate",
  "shared",
  "rshared",
  "slave",
  "rslave",
  "unbindable",
  "runbindable",
];
/** Mounts that --read-only leaves writable: the kernel's own and what a tmpfs must be. */
const WRITABLE_IN_READONLY = new Set(["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]);

/**
 * All mounts of a container: the kernel's file systems, then those of the request by depth of their target, so that none
 * hides a deeper one. A request's mount replaces the default at its target, and one on /dev those below /dev.
 */
export function containerMounts(input: SpecInput): readonly OciMount[] {
  const privileged = input.host.Privileged === true;
  const targets = new Set(input.mounts.map((mount) => mount.target));
  const defaults = defaultMounts(input, privileged).filter(
    (mount) =>
      !targets.has(mount.destination) && !(targets.has("/dev") && mount.destination.startsWith("/dev/")),
  );
  const kept = input.host.ReadonlyRootfs
    ? defaults.map((mount) => (WRITABLE_IN_READONLY.has(mount.destination) ? mount : readonly(mount)))
    : defaults;
  const recursiveReadonly = atLeast(input.kernel.kernelVersion, [5, 12]);
  const asked = [...input.mounts]
    .sort((a, b) => depth(a.target) - depth(b.target))
    .map((mount) => ociMount(mount, recursiveReadonly));
  return [...kept, ...asked];
}

function defaultMounts(input: SpecInput, privileged: boolean): OciMount[] {
  const { namespaces, host } = input;
  const hostIpc = namespaces.ipc === "host";
  const shmSize = host.ShmSize ? host.ShmSize : DEFAULT_SHM_SIZE;
  if (shmSize < 0) throw invalid("SHM size can not be less than 0");
  // A user namespace cannot change the flags of the host's cgroup and sysfs mounts.
  const writable = privileged || namespaces.user !== "host";
  const mount = (destination: string, type: string, source: string, ...options: string[]): OciMount => ({
    destination,
    type,
    source,
    options,
  });
  const locked = ["nosuid", "noexec", "nodev"];
  const mounts = [
    mount("/proc", "proc", "proc", ...locked),
    mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount(
      "/dev/pts",
      "devpts",
      "devpts",
      ...["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      ...(ttyGroupMapped(input) ? ["gid=5"] : []),
    ),
    // sysfs shows the network namespace it was mounted in; without one of its own a user namespace may only bind it.
    namespaces.user !== "host" && namespaces.network === "host"
      ? mount("/sys", "bind", "/sys", "rbind", ...locked, "ro")
      : mount("/sys", "sysfs", "sysfs", ...locked, ...(privileged ? [] : ["ro"])),
    mount("/sys/fs/cgroup", "cgroup", "cgroup", ...(writable ? [] : ["ro"]), ...locked),
  ];
  if (hostIpc && input.kernel.devices.exists("/dev/mqueue"))
    mounts.push(mount("/dev/mqueue", "bind", "/dev/mqueue", "bind", ...locked));
  // Where the host has not mounted its queues they are mounted here: the file system shows the namespace it is mounted in, which only
  // that namespace's owner may do.
  else if (!hostIpc || namespaces.user === "host")
    mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", ...locked));
  if (host.IpcMode === "none") return mounts;
  mounts.push(
    hostIpc
      ? mount("/dev/shm", "bind", "/dev/shm", "rbind", "rprivate")
      : mount("/dev/shm", "tmpfs", "shm", ...locked, "mode=1777", `size=${shmSize}`),
  );
  return mounts;
}

/** devpts refuses a group that the user namespace does not map. */
function ttyGroupMapped(input: SpecInput): boolean {
  if (input.namespaces.user === "host") return true;
  return (input.idMappings?.gid ?? []).some((map) => map.containerID <= 5 && 5 < map.containerID + map.size);
}

function ociMount(mount: SpecMount, recursiveReadonly: boolean): OciMount {
  if (!mount.target.startsWith("/") || mount.target === "/")
    throw invalid(`invalid mount config for type "${mount.type}": invalid mount path: '${mount.target}'`);
  if (mount.type === "tmpfs") {
    return {
      destination: mount.target,
      type: "tmpfs",
      source: "tmpfs",
      options: mergeOptions(
        ["noexec", "nosuid", "nodev"],
        [...mount.options, ...(mount.readonly ? ["ro"] : [])],
      ),
    };
  }
  const words = new Set(mount.options);
  const flat = words.has("bind");
  const notRecursive = words.delete("ro-non-recursive") || flat || !recursiveReadonly;
  const forced = words.delete("ro-force-recursive");
  if (!words.has("bind") && !words.has("rbind")) words.add("rbind");
  if (!PROPAGATIONS.some((word) => words.has(word))) words.add("rprivate");
  if (mount.readonly) words.add(!notRecursive || forced ? "rro" : "ro");
  // With rro alone older runtimes leave the top mount as it was.
  if (words.has("rro")) words.add("ro");
  return { destination: mount.target, type: "bind", source: mount.source, options: [...words] };
}

/** Opposites of mount options: the later one wins. */
const OPPOSITES: Readonly<Record<string, string>> = {
  exec: "noexec",
  suid: "nosuid",
  dev: "nodev",
  rw: "ro",
  async: "sync",
  atime: "noatime",
  diratime: "nodiratime",
};

/** Defaults overridden by what was asked for: `exec` removes `noexec`, `size=1m` an earlier size. */
function mergeOptions(defaults: readonly string[], asked: readonly string[]): readonly string[] {
  const result = new Map<string, string>();
  for (const option of [...defaults, ...asked].filter((word) => word !== "")) {
    const [name = option] = option.split("=", 1);
    const key = Object.entries(OPPOSITES).find(([yes, no]) => yes === name || no === name)?.[0] ?? name;
    result.delete(key);
    result.set(key, option);
  }
  return [...result.values()];
}

const readonly = (mount: OciMount): OciMount =>
  mount.options.includes("ro") ? mount : { ...mount, options: [...mount.options, "ro"] };
const depth = (path: string) => path.split("/").filter(Boolean).length;

/** Compares kernel versions. */
export function atLeast(version: readonly [number, number], wanted: readonly [number, number]): boolean {
  return version[0] > wanted[0] || (version[0] === wanted[0] && version[1] >= wanted[1]);
}
