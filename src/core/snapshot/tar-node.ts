import { readSync } from "node:fs";
import { decodePath } from "../../base/lib/path-bytes.ts";
import type { TarKind } from "../../base/lib/tar/entry.ts";
import { tarHeader, tarPadding } from "../../base/lib/tar/writer.ts";
import { closeFd, O, openat, readlinkat, reopen } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { type FileStat, lstatat } from "../../base/sys/stat.ts";
import { getXattr, listXattrs, listXattrsOf } from "../../base/sys/xattr.ts";

export interface TarNodesOptions {
  /** Whole seconds only, as Docker writes layers: no pax record for every file. */
  readonly wholeSeconds?: boolean;
  /** Nobody changes the tree: what a name meant a moment ago it still means. */
  readonly settled?: boolean;
}

/**
 * Turns nodes of a tree into tar members: metadata, extended attributes, and later names of a hard-linked file as links to
 * the first. One instance an archive.
 */
export class TarNodes {
  /** "device inode" -> the name it was written under. */
  readonly #links = new Map<string, string>();
  readonly #wholeSeconds: boolean;
  readonly #settled: boolean;
  /** Bytes of files, and of where links lead, in the members so far: a layer's size as `LayerApplier` counts it. */
  contentSize = 0;

  constructor(options: TarNodesOptions = {}) {
    this.#wholeSeconds = options.wholeSeconds ?? false;
    this.#settled = options.settled ?? false;
  }

  /**
   * The member for `name` below the directory `dir` (the directory itself when ""), written as `path`. Sockets have no place
   * in a tar and yield nothing, nor does what has vanished. A file that grows or shrinks meanwhile is cut or filled with zeros.
   * Synchronous, for a process of its own: an await for each of thousands of files costs more than the files.
   */
  *member(dir: number, name: string, path: string, stat: FileStat): Generator<Uint8Array, void, undefined> {
    const kind = kindOf(stat);
    if (!kind) return;
    const mtime = this.#wholeSeconds ? stat.mtime - modulo(stat.mtime, 1_000_000_000n) : stat.mtime;
    const common = { path, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime };
    const first = this.#firstName(stat, path);
    if (first !== undefined) {
      yield tarHeader({ ...common, kind: "link", linkPath: first });
      return;
    }
    if (kind === "file") {
      const fd = this.#settled
        ? openat(dir, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK)
        : openFile(dir, name, stat);
      if (fd === undefined) return;
      this.contentSize += stat.size;
      try {
        const xattrs = attributesOf(dir, name, listXattrsOf(fd));
        const header = tarHeader({ ...common, kind, size: stat.size, xattrs });
        if (stat.size <= smallFile) {
          yield smallMember(header, fd, stat.size);
        } else {
          yield header;
          yield* content(fd, stat.size);
        }
      } finally {
        closeFd(fd);
      }
      return;
    }
    const linkPath = kind === "symlink" ? decodePath(readlinkat(dir, name)) : "";
    this.contentSize += Buffer.byteLength(linkPath);
    const xattrs = attributesOf(dir, name, listXattrs(dir, name));
    const { rdevMajor: deviceMajor, rdevMinor: deviceMinor } = stat;
    yield tarHeader({ ...common, kind, linkPath, deviceMajor, deviceMinor, xattrs });
  }

  #firstName(stat: FileStat, path: string): string | undefined {
    if (stat.nlink < 2 || stat.kind === "directory") return undefined;
    const key = `${stat.device} ${stat.ino}`;
    const first = this.#links.get(key);
    if (first === undefined) this.#links.set(key, path);
    return first;
  }
}

function kindOf(stat: FileStat): Exclude<TarKind, "unknown" | "link"> | undefined {
  return stat.kind === "socket" || stat.kind === "unknown" ? undefined : stat.kind;
}

function modulo(value: bigint, by: bigint): bigint {
  return ((value % by) + by) % by;
}

const none: ReadonlyMap<string, Uint8Array> = new Map();

/** Prefixes of what overlay and fuse-overlayfs note for themselves. */
const ownMarks = ["user.overlay.", "user.fuseoverlayfs."];

/** Capabilities, ACLs and user attributes; not labels of this host's policy, nor overlay's own marks. */
function attributesOf(dir: number, name: string, all: readonly string[]): ReadonlyMap<string, Uint8Array> {
  if (all.length === 0) return none;
  const keys = all.filter(
    (key) =>
      key === "security.capability" ||
      key.startsWith("system.posix_acl_") ||
      (key.startsWith("user.") && !ownMarks.some((mark) => key.startsWith(mark))),
  );
  if (keys.length === 0) return none;
  const found = new Map<string, Uint8Array>();
  for (const key of keys) {
    const value = getXattr(dir, name, key);
    if (value) found.set(key, value);
  }
  return found;
}

/** Undefined when the name no longer means the file that `stat` told of. */
function openFile(dir: number, name: string, stat: FileStat): number | undefined {
  let found: number;
  try {
    found = openat(dir, name, O.PATH | O.NOFOLLOW);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const now = lstatat(found);
    return now.kind === "file" && now.ino === stat.ino ? reopen(found, O.RDONLY) : undefined;
  } finally {
    closeFd(found);
  }
}

/** Files of this size go as one piece with their header. */
const smallFile = 1 << 16;

function smallMember(header: Uint8Array, fd: number, size: number): Uint8Array {
  const padding = tarPadding(size).length;
  // Zeros already, as far as the file turns out to be shorter.
  const whole = Buffer.alloc(header.length + size + padding);
  whole.set(header);
  for (let at = 0; at < size; ) {
    const length = readSync(fd, whole, header.length + at, size - at, null);
    if (length === 0) break;
    at += length;
  }
  return whole;
}

function* content(fd: number, size: number): Generator<Uint8Array, void, undefined> {
  let left = size;
  while (left > 0) {
    const buffer = Buffer.allocUnsafe(Math.min(left, 1 << 20));
    const bytesRead = readSync(fd, buffer, 0, buffer.length, null);
    if (bytesRead === 0) break;
    left -= bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  for (; left > 0; left -= Math.min(left, 1 << 20)) yield Buffer.alloc(Math.min(left, 1 << 20));
  yield tarPadding(size);
}
