import { dlopen, FFIType as T } from "bun:ffi";
import { decodePath } from "../lib/path-bytes.ts";
import {
  closeFd,
  cpath,
  O,
  openat,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "./at.ts";
import { errno, SystemError } from "./libc.ts";

/** statx(2) and getdents64(3) relative to descriptors: what node:fs can only do by path. */
const { symbols: c } = dlopen("libc.so.6", {
  statx: { args: [T.i32, T.ptr, T.i32, T.u32, T.ptr], returns: T.i32 },
  getdents64: { args: [T.i32, T.ptr, T.u64], returns: T.i64_fast },
});

export type FileKind = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket" | "unknown";

export interface FileStat {
  readonly kind: FileKind;
  /** Type and permission bits, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly ino: bigint;
  /** "major:minor" of the file system it lies on. */
  readonly device: string;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Bytes allocated on disk. */
  readonly allocated: number;
  /** Nanoseconds since the epoch. */
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  /** When the inode was made; 0 where the file system does not tell. */
  readonly btime: bigint;
}

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const AT_NO_AUTOMOUNT = 0x800;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const ENOENT = 2;
const ENOTDIR = 20;

/** Status of `name` below `dir` (of the descriptor itself when `name` is ""), never following a last symbolic link. */
export function lstatat(dir: number, name = ""): FileStat {
  const found = statx(dir, name);
  if (typeof found === "number") throw new SystemError(found, "statx", name === "" ? String(dir) : name);
  return found;
}

/** Like `lstatat`, or undefined when there is nothing of that name. */
export function tryLstatat(dir: number, name: string): FileStat | undefined {
  const found = statx(dir, name);
  if (typeof found !== "number") return found;
  if (found === ENOENT || found === ENOTDIR) return undefined;
  throw new SystemError(found, "statx", name);
}

/** The status, or the number of the error: of thousands of names most may be missing, and an exception costs more than the call. */
function statx(dir: number, name: string): FileStat | number {
  const buffer = Buffer.allocUnsafe(256);
  const flags = AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | (name === "" ? AT_EMPTY_PATH : 0);
  if (c.statx(dir, cpath(name), flags, STATX_BASIC_STATS | STATX_BTIME, buffer) < 0) return errno();
  return parseStatx(buffer);
}

function parseStatx(b: Buffer): FileStat {
  const mode = b.readUInt16LE(28);
  const time = (at: number) => b.readBigInt64LE(at) * 1_000_000_000n + BigInt(b.readUInt32LE(at + 8));
  return {
    kind: kindOfMode(mode),
    mode,
    nlink: b.readUInt32LE(16),
    uid: b.readUInt32LE(20),
    gid: b.readUInt32LE(24),
    ino: b.readBigUInt64LE(32),
    size: Number(b.readBigUInt64LE(40)),
    allocated: Number(b.readBigUInt64LE(48)) * 512,
    atime: time(64),
    btime: (b.readUInt32LE(0) & STATX_BTIME) === 0 ? 0n : time(80),
    ctime: time(96),
    mtime: time(112),
    rdevMajor: b.readUInt32LE(128),
    rdevMinor: b.readUInt32LE(132),
    device: `${b.readUInt32LE(136)}:${b.readUInt32LE(140)}`,
  };
}

/** Of an st_mode's type bits. */
export function kindOfMode(mode: number): FileKind {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFCHR:
      return "char";
    case S_IFBLK:
      return "block";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    default:
      return "unknown";
  }
}

export interface DirectoryEntry {
  readonly name: string;
  /** "unknown" on file systems that do not tell (d_type 0). */
  readonly kind: FileKind;
}

/** All entries of an open directory but "." and "..", in the file system's order. The descriptor must be readable, not O_PATH. */
export function readDirectory(fd: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  const buffer = Buffer.alloc(64 * 1024);
  for (;;) {
    const length = Number(c.getdents64(fd, buffer, buffer.length));
    if (length < 0) throw new SystemError(errno(), "getdents64", String(fd));
    if (length === 0) return entries;
    for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
      const from = at + 19;
      const name = decodePath(buffer.subarray(from, buffer.indexOf(0, from)));
      // d_type is st_mode's type shifted down (DT_DIR = S_IFDIR >> 12).
      if (name !== "." && name !== "..") {
        entries.push({ name, kind: kindOfMode((buffer[at + 18] ?? 0) << 12) });
      }
    }
  }
}

/** Names in the directory `name` below an open one, or in that itself, by a descriptor of its own: one that was read is at its end, and O_PATH reads nothing. */
export function namesIn(dir: number, name = "."): string[] {
  const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    return readDirectory(fd).map((entry) => entry.name);
  } finally {
    closeFd(fd);
  }
}
