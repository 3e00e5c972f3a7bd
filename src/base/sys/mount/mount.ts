import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, closeFd, cpath, fdPath, O, openat } from "../at.ts";
import { errno, SystemError } from "../libc.ts";
import { SYS } from "../syscalls.ts";
import { moveMount } from "./calls.ts";
import { mountFuse } from "./fuse.ts";

const { symbols: c } = dlopen("libc.so.6", {
  mount: { args: [T.ptr, T.ptr, T.ptr, T.u64, T.ptr], returns: T.i32 },
  umount2: { args: [T.ptr, T.i32], returns: T.i32 },
});

/** Those that make a file system's context, as in mount-calls.ts. */
const { symbols: fsopen } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.ptr, T.i64], returns: T.i64_fast },
});
const { symbols: fsconfig } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.i64, T.ptr, T.ptr, T.i64], returns: T.i64_fast },
});
const { symbols: fsmount } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.i64, T.i64], returns: T.i64_fast },
});
/** mount(2) flags. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
} as const;

/** umount2(2) flags. */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, NOFOLLOW: 8 } as const;

/** mount(2) as it is. `data` is limited to a page. */
export function mount(source: string, target: string, type: string, flags: number, data = ""): void {
  if (c.mount(cpath(source), cpath(target), cpath(type), flags, cpath(data)) < 0)
    throw new SystemError(errno(), "mount", target);
}

export function umount(target: string, flags: number = MNT.NOFOLLOW): void {
  if (c.umount2(cpath(target), flags) < 0) throw new SystemError(errno(), "umount2", target);
}

/**
 * Takes a mount away whatever state it is in: a busy one is detached and ends with its last user. True when there was one.
 * EINVAL is "no mount point", ENOENT "no such directory": both mean that nothing is left to do.
 */
export function unmountIfMounted(target: string): boolean {
  for (const flags of [MNT.NOFOLLOW, MNT.NOFOLLOW | MNT.DETACH]) {
    try {
      umount(target, flags);
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code === "EINVAL" || error.code === "ENOENT") return false;
      if (error.code !== "EBUSY") throw error;
    }
  }
  return false;
}

/** What mount(8) takes: a type, a source, and options that are flags or file-system data. */
export interface MountSpec {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/**
 * Mounts one spec on an existing target. "bind"/"rbind" with "ro" is made in the two steps the kernel needs; overlay data
 * longer than a page goes by other ways (see `mountOverlay`); of type "fuse.<name>" the source is the program that serves it; a
 * propagation option is applied last.
 */
export function mountSpec(spec: MountSpec, target: string): void {
  const { flags, propagation, data } = splitOptions(spec.options);
  if (spec.type === "bind" || (flags & MS.BIND) !== 0) {
    mount(spec.source, target, "", MS.BIND | (flags & MS.REC));
    const rest = flags & ~(MS.BIND | MS.REC);
    if (rest !== 0) undoing(target, () => mount("", target, "", MS.BIND | MS.REMOUNT | rest));
  } else if (spec.type === "overlay") {
    mountOverlay(data, target, flags, spec.source);
  } else if (spec.type.startsWith("fuse.")) {
    mountFuse(spec.source, spec.options, target);
  } else {
    mount(spec.source, target, spec.type, flags, data.join(","));
  }
  for (const flag of propagation) undoing(target, () => mount("", target, "", flag));
}

function undoing(target: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    unmountIfMounted(target);
    throw error;
  }
}

/** mount(2) copies one page of data, the terminating NUL included. */
const pageLimit = 4095;

/**
 * Overlay mount of any depth. Data within a page takes mount(2). Longer data goes layer by layer through
 * fsconfig("lowerdir+") (Linux 6.7, filesystems/overlayfs.rst); on older kernels the layers are named by
 * /proc/self/fd links of descriptors opened for the call, which the kernel resolves while it mounts.
 */
export function mountOverlay(
  options: readonly string[],
  target: string,
  flags = 0,
  source = "overlay",
): void {
  const data = options.join(",");
  if (Buffer.byteLength(data) <= pageLimit) {
    mount(source, target, "overlay", flags, data);
    return;
  }
  const lowers = splitLowers(options.find((o) => o.startsWith("lowerdir="))?.slice(9) ?? "");
  const others = options.filter((o) => !o.startsWith("lowerdir="));
  if (mountOverlayByLayer(lowers, others, target, flags, source)) return;
  const fds: number[] = [];
  try {
    for (const lower of lowers) fds.push(openat(AT_FDCWD, lower, O.PATH | O.DIRECTORY));
    const short = [`lowerdir=${fds.map((fd) => fdPath(fd)).join(":")}`, ...others];
    mount(source, target, "overlay", flags, short.join(","));
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}

/** Overlay's lowerdir list: ":" separates, "\" escapes. */
function splitLowers(list: string): string[] {
  return (list.match(/(?:[^:\\]|\\.)+/g) ?? []).map((path) => path.replace(/\\(.)/g, "$1"));
}

/** FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC. */
const CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
/** fsmount(2) attributes for the mount(2) flags that belong to the mount and not to its super block. */
const attributes: readonly (readonly [number, number])[] = [
  [MS.RDONLY, 1],
  [MS.NOSUID, 2],
  [MS.NODEV, 4],
  [MS.NOEXEC, 8],
  [MS.NOATIME, 0x10],
];

/** False when this kernel lacks the calls or the "lowerdir+" parameter. */
function mountOverlayByLayer(
  lowers: readonly string[],
  others: readonly string[],
  target: string,
  flags: number,
  source: string,
): boolean {
  const context = Number(fsopen.syscall(SYS.fsopen, cpath("overlay"), CLOEXEC));
  if (context < 0) return false;
  const set = (command: number, key: string | undefined, value: string | undefined): number =>
    Number(
      fsconfig.syscall(
        SYS.fsconfig,
        context,
        command,
        key === undefined ? null : cpath(key),
        value === undefined ? null : cpath(value),
        0,
      ),
    );
  let mounted = -1;
  try {
    set(FSCONFIG_SET_STRING, "source", source);
    if ((flags & MS.RDONLY) !== 0) set(FSCONFIG_SET_FLAG, "ro", undefined);
    for (const lower of lowers) if (set(FSCONFIG_SET_STRING, "lowerdir+", lower) < 0) return false;
    for (const option of others) {
      const at = option.indexOf("=");
      const result =
        at < 0
          ? set(FSCONFIG_SET_FLAG, option, undefined)
          : set(FSCONFIG_SET_STRING, option.slice(0, at), option.slice(at + 1));
      if (result < 0) return false;
    }
    if (set(FSCONFIG_CMD_CREATE, undefined, undefined) < 0)
      throw new SystemError(errno(), "fsconfig", target);
    const attrs = attributes.reduce((sum, [flag, attr]) => ((flags & flag) !== 0 ? sum | attr : sum), 0);
    mounted = Number(fsmount.syscall(SYS.fsmount, context, CLOEXEC, attrs));
    if (mounted < 0) throw new SystemError(errno(), "fsmount", target);
    moveMount(mounted, target);
    return true;
  } finally {
    if (mounted >= 0) closeFd(mounted);
    closeFd(context);
  }
}

/**
 * A file system of the kernel's own, mounted nowhere, as a directory's descriptor: the mount ends with it (fsmount(2)). For what a host may
 * not have mounted, or not where we look. `undefined` where the kernel lacks the calls, or we the right.
 */
export function openUnmounted(type: string): number | undefined {
  const context = Number(fsopen.syscall(SYS.fsopen, cpath(type), CLOEXEC));
  if (context < 0) return undefined;
  try {
    if (Number(fsconfig.syscall(SYS.fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0)) < 0)
      return undefined;
    const mounted = Number(fsmount.syscall(SYS.fsmount, context, CLOEXEC, 0));
    return mounted < 0 ? undefined : mounted;
  } finally {
    closeFd(context);
  }
}

const flagNames: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  defaults: [0, 0],
  ro: [MS.RDONLY, 0],
  rw: [0, MS.RDONLY],
  nosuid: [MS.NOSUID, 0],
  suid: [0, MS.NOSUID],
  nodev: [MS.NODEV, 0],
  dev: [0, MS.NODEV],
  noexec: [MS.NOEXEC, 0],
  exec: [0, MS.NOEXEC],
  sync: [MS.SYNCHRONOUS, 0],
  async: [0, MS.SYNCHRONOUS],
  dirsync: [MS.DIRSYNC, 0],
  remount: [MS.REMOUNT, 0],
  bind: [MS.BIND, 0],
  rbind: [MS.BIND | MS.REC, 0],
  noatime: [MS.NOATIME, 0],
  atime: [0, MS.NOATIME],
  nodiratime: [MS.NODIRATIME, 0],
  diratime: [0, MS.NODIRATIME],
  relatime: [MS.RELATIME, 0],
  norelatime: [0, MS.RELATIME],
  strictatime: [MS.STRICTATIME, 0],
  nosymfollow: [MS.NOSYMFOLLOW, 0],
};

const propagationNames: Readonly<Record<string, number>> = {
  private: MS.PRIVATE,
  rprivate: MS.PRIVATE | MS.REC,
  shared: MS.SHARED,
  rshared: MS.SHARED | MS.REC,
  slave: MS.SLAVE,
  rslave: MS.SLAVE | MS.REC,
  unbindable: MS.UNBINDABLE,
  runbindable: MS.UNBINDABLE | MS.REC,
};

/** Tells mount(8) option words apart: flags, propagation, and what is left for the file system. */
export function splitOptions(options: readonly string[]): {
  readonly flags: number;
  readonly propagation: readonly number[];
  readonly data: readonly string[];
} {
  let flags = 0;
  const propagation: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    const flag = flagNames[option];
    const spread = propagationNames[option];
    if (flag) flags = (flags & ~flag[1]) | flag[0];
    else if (spread !== undefined) propagation.push(spread);
    else if (option !== "") data.push(option);
  }
  return { flags, propagation, data };
}
