import { dlopen, FFIType as T } from "bun:ffi";
import { encodePath } from "../lib/path-bytes.ts";
import { errno, SystemError } from "./libc.ts";
import { SYS } from "./syscalls.ts";

/**
 * The *at family: everything takes a directory descriptor and a path below it. None of these follows a symbolic link in the
 * last component; intermediate components are followed by the plain calls, so hand those a single name, or a path that
 * only you can write to. Untrusted paths go through `openat2` with RESOLVE.IN_ROOT, which `RootedDir` wraps.
 */
const { symbols: c } = dlopen("libc.so.6", {
  openat: { args: [T.i32, T.ptr, T.i32, T.u32], returns: T.i32 },
  close: { args: [T.i32], returns: T.i32 },
  mkdirat: { args: [T.i32, T.ptr, T.u32], returns: T.i32 },
  symlinkat: { args: [T.ptr, T.i32, T.ptr], returns: T.i32 },
  linkat: { args: [T.i32, T.ptr, T.i32, T.ptr, T.i32], returns: T.i32 },
  unlinkat: { args: [T.i32, T.ptr, T.i32], returns: T.i32 },
  renameat2: { args: [T.i32, T.ptr, T.i32, T.ptr, T.u32], returns: T.i32 },
  mknodat: { args: [T.i32, T.ptr, T.u32, T.u64], returns: T.i32 },
  fchownat: { args: [T.i32, T.ptr, T.u32, T.u32, T.i32], returns: T.i32 },
  fchown: { args: [T.i32, T.u32, T.u32], returns: T.i32 },
  fchmod: { args: [T.i32, T.u32], returns: T.i32 },
  chmod: { args: [T.ptr, T.u32], returns: T.i32 },
  utimensat: { args: [T.i32, T.ptr, T.ptr, T.i32], returns: T.i32 },
  futimens: { args: [T.i32, T.ptr], returns: T.i32 },
  readlinkat: { args: [T.i32, T.ptr, T.ptr, T.u64], returns: T.i64_fast },
  ftruncate: { args: [T.i32, T.i64], returns: T.i32 },
  /** openat2 is the only caller here, so the arguments are typed for it: the pointers stay alive during the call. */
  syscall: { args: [T.i64, T.i64, T.ptr, T.ptr, T.u64], returns: T.i64_fast },
});

/** Open flags. x86-64 and arm64 differ in four of them (asm-generic/fcntl.h, arm64 uapi/asm/fcntl.h). */
const arm = process.arch === "arm64";
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

/** openat2(2) resolve flags. */
export const RESOLVE = {
  NO_XDEV: 1,
  NO_MAGICLINKS: 2,
  NO_SYMLINKS: 4,
  BENEATH: 8,
  IN_ROOT: 16,
} as const;

export const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;

/** Bits of st_mode that say what a node is. */
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;
export const S_ISGID = 0o2000;

/** A path's bytes with the terminating NUL. A NUL inside is EINVAL. */
export function cpath(path: string): Buffer {
  const bytes = encodePath(`${path}\0`);
  if (bytes.indexOf(0) !== bytes.length - 1) throw new SystemError(22, "path", JSON.stringify(path));
  return bytes;
}

function check(result: number, call: string, path: string | number): number {
  if (result < 0) throw new SystemError(errno(), call, String(path));
  return result;
}

/** Retries a call that a signal interrupted. */
function restart(run: () => number): number {
  for (;;) {
    const result = run();
    if (result >= 0 || errno() !== 4) return result;
  }
}

export function openat(dir: number, path: string, flags: number, mode = 0): number {
  const bytes = cpath(path);
  return check(
    restart(() => c.openat(dir, bytes, flags | O.CLOEXEC, mode)),
    "openat",
    path,
  );
}

/** openat2(2); EAGAIN (a rename raced with a ".." or a mount) is retried, as the manual asks. */
export function openat2(dir: number, path: string, flags: number, resolve: number, mode = 0): number {
  const bytes = cpath(path === "" ? "." : path);
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O.CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(mode), 8);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  for (let attempt = 0; ; attempt++) {
    const fd = Number(c.syscall(SYS.openat2, dir, bytes, how, how.length));
    if (fd >= 0) return fd;
    const error = new SystemError(errno(), "openat2", path);
    if ((error.code !== "EAGAIN" && error.code !== "EINTR") || attempt >= 128) throw error;
  }
}

/**
 * Opens for good what an O_PATH descriptor names, once it is known to be harmless. Opening a device, even to look at its
 * type, can have effects (a watchdog starts, a tape rewinds), and a container may make device nodes.
 */
export function reopen(fd: number, flags: number): number {
  return openat(AT_FDCWD, fdPath(fd), flags);
}

export function closeFd(fd: number): void {
  c.close(fd);
}

export function mkdirat(dir: number, name: string, mode: number): void {
  check(c.mkdirat(dir, cpath(name), mode), "mkdirat", name);
}

export function symlinkat(target: string, dir: number, name: string): void {
  check(c.symlinkat(cpath(target), dir, cpath(name)), "symlinkat", name);
}

export function linkat(fromDir: number, from: string, dir: number, name: string): void {
  check(c.linkat(fromDir, cpath(from), dir, cpath(name), 0), "linkat", name);
}

export function unlinkat(dir: number, name: string): void {
  check(c.unlinkat(dir, cpath(name), 0), "unlinkat", name);
}

export function rmdirat(dir: number, name: string): void {
  check(c.unlinkat(dir, cpath(name), AT_REMOVEDIR), "rmdirat", name);
}

export const RENAME_EXCHANGE = 2;

export function renameat(fromDir: number, from: string, dir: number, name: string, flags = 0): void {
  check(c.renameat2(fromDir, cpath(from), dir, cpath(name), flags), "renameat2", from);
}

/** `mode` includes the S_IF* type. */
export function mknodat(dir: number, name: string, mode: number, device: bigint | number = 0): void {
  check(c.mknodat(dir, cpath(name), mode, device), "mknodat", name);
}

/** Packs a device number as glibc's makedev(3). */
export function makedev(major: number, minor: number): bigint {
  const a = BigInt(major >>> 0);
  const b = BigInt(minor >>> 0);
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((b & 0xffffff00n) << 12n) | (b & 0xffn);
}

export function lchownat(dir: number, name: string, uid: number, gid: number): void {
  const flags = name === "" ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  check(c.fchownat(dir, cpath(name), uid, gid, flags), "fchownat", name);
}

export function fchown(fd: number, uid: number, gid: number): void {
  check(c.fchown(fd, uid, gid), "fchown", fd);
}

export function fchmod(fd: number, mode: number): void {
  check(c.fchmod(fd, mode), "fchmod", fd);
}

/**
 * chmod of what the descriptor is, which may be O_PATH: through its magic link in /proc, because fchmod(2) refuses O_PATH
 * and fchmodat2(2) is as new as Linux 6.6. EOPNOTSUPP for a symbolic link, which has no mode on Linux.
 */
export function chmodFd(fd: number, mode: number): void {
  check(c.chmod(cpath(fdPath(fd)), mode), "chmod", fd);
}

/** chmod of a name; EOPNOTSUPP for a symbolic link, also one that was put in its place. */
export function chmodat(dir: number, name: string, mode: number): void {
  const fd = openat(dir, name, O.PATH | O.NOFOLLOW);
  try {
    chmodFd(fd, mode);
  } finally {
    closeFd(fd);
  }
}

/** Path that means the descriptor itself for path-based calls and other threads of this process. */
export function fdPath(fd: number, name?: string): string {
  return name === undefined || name === "" ? `/proc/self/fd/${fd}` : `/proc/self/fd/${fd}/${name}`;
}

/** Nanoseconds since the epoch; undefined leaves a time as it is. */
export interface Times {
  readonly atime: bigint | undefined;
  readonly mtime: bigint | undefined;
}

const UTIME_OMIT = 0x3ffffffen;

function timespecs(times: Times): Buffer {
  const buffer = Buffer.alloc(32);
  [times.atime, times.mtime].forEach((time, index) => {
    let seconds = 0n;
    let nanos = UTIME_OMIT;
    if (time !== undefined) {
      nanos = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
      seconds = BigInt.asIntN(64, (time - nanos) / 1_000_000_000n);
    }
    buffer.writeBigInt64LE(seconds, index * 16);
    buffer.writeBigInt64LE(nanos, index * 16 + 8);
  });
  return buffer;
}

export function lutimesat(dir: number, name: string, times: Times): void {
  const flags = name === "" ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  check(c.utimensat(dir, cpath(name), timespecs(times), flags), "utimensat", name);
}

export function futimes(fd: number, times: Times): void {
  check(c.futimens(fd, timespecs(times)), "futimens", fd);
}

/** Raw target of a symbolic link, or of an O_PATH descriptor of one when `name` is "". */
export function readlinkat(dir: number, name: string): Buffer {
  const buffer = Buffer.alloc(4096);
  const length = Number(c.readlinkat(dir, cpath(name), buffer, buffer.length));
  check(length, "readlinkat", name);
  return buffer.subarray(0, length);
}

export function ftruncate(fd: number, size: number): void {
  check(c.ftruncate(fd, size), "ftruncate", fd);
}
