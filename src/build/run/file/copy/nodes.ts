import { readSync, writeSync } from "node:fs";
import { CryptoHasher } from "bun";
import { closeFd, fchmod, fchown, futimes, mkdirat, O, openat } from "../../../../base/sys/at.ts";
import { copySpecial, dressAs, type NodeLook } from "../../../../base/sys/copy-node.ts";
import { copyData } from "../../../../base/sys/copy-range.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import { type FileStat, tryLstatat } from "../../../../base/sys/stat.ts";
import { copyXattrs, listXattrsOf } from "../../../../base/sys/xattr.ts";
import { xattrText } from "../selection/attributes.ts";
import { deviceOf } from "../selection/content-digest.ts";
import { hashContent } from "../selection/root-digest.ts";
import type { ModeChange } from "./chmod.ts";
import type { Ids } from "./owner.ts";

const ENAMETOOLONG = 36;

/** A copy that its destination forbids, in BuildKit's words. */
export class CopyRefused extends Error {
  override readonly name = "CopyRefused";
}

/** How copies differ from their sources. */
export interface CopyLook {
  readonly owner: Ids | undefined;
  readonly chmod: ModeChange | undefined;
  /** Nanoseconds; undefined: the source's. */
  readonly time: bigint | undefined;
}

/** A copy that differs in nothing. */
export const asIs: CopyLook = { owner: undefined, chmod: undefined, time: undefined };

/** Components that fit into a path (PATH_MAX). */
const deepest = 2048;

/** Refuses what lies so deep that nobody could name it. */
export function checkDepth(depth: number, path: string): void {
  if (depth > deepest) throw new SystemError(ENAMETOOLONG, "openat", `/${path}`);
}

/** Who wants to know what was copied. */
export interface CopyWitness {
  /** `what` and `xattrs` as `SelectionHash.node` has them. */
  saw(xattrs: string, what: string): void;
}

/** Up to this size reading and writing costs less than asking the file system for a copy of its own. */
const smallFile = 64 * 1024;
const piece = 1 << 20;

/** What a copy gets of mode, owner and time of change. */
export interface Look extends Ids {
  readonly mode: number;
  readonly mtime: bigint;
}

export function lookOf(stat: FileStat, { owner = stat, chmod, time }: CopyLook): Look & NodeLook {
  return {
    uid: owner.uid,
    gid: owner.gid,
    mode: chmod ? chmod(stat.mode) : stat.mode & 0o7777,
    atime: time ?? stat.atime,
    mtime: time ?? stat.mtime,
  };
}

/** Makes a directory or takes the one that is there; true when it was made. `path` is for the error. */
export function copyDirectoryNode(
  dir: number,
  name: string,
  path: string,
  stat: FileStat,
  fresh: boolean,
): boolean {
  const there = fresh ? undefined : tryLstatat(dir, name);
  if (!there) {
    mkdirat(dir, name, stat.mode & 0o777);
    return true;
  }
  if (there.kind !== "directory") throw new CopyRefused(`cannot copy to non-directory: ${path}`);
  return false;
}

/** Owner, attributes, mode and times of a directory whose entries are all there. */
export function dressDirectory(from: number, to: number, stat: FileStat, look: CopyLook): void {
  dressAs(from, to, lookOf(stat, look));
}

/** Into a name that is free. `plain`: what is made there belongs to root, with the mode that it is made with. */
export function copyRegularFile(
  from: number,
  name: string,
  to: number,
  as: string,
  stat: FileStat,
  look: CopyLook,
  { plain = false, witness }: { readonly plain?: boolean; readonly witness?: CopyWitness | undefined } = {},
): void {
  const { uid, gid, mode, ...times } = lookOf(stat, look);
  const born = plain && uid === 0 && gid === 0 && (mode & 0o7000) === 0;
  const source = openat(from, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  try {
    const copy = openat(to, as, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, born ? mode : 0o600);
    try {
      const hash = witness && new CryptoHasher("sha256");
      copyContent(source, copy, stat, hash);
      if (!born) fchown(copy, uid, gid);
      const attributes = listXattrsOf(source);
      copyXattrs(from, name, to, as, attributes);
      if (!born) fchmod(copy, mode);
      futimes(copy, times);
      if (hash) witness?.saw(xattrText(from, name, attributes), hash.digest("hex"));
    } finally {
      closeFd(copy);
    }
  } finally {
    closeFd(source);
  }
}

function copyContent(source: number, copy: number, stat: FileStat, hash: CryptoHasher | undefined): void {
  const { size, allocated } = stat;
  if (size === 0) return;
  if (size <= smallFile || (hash && allocated >= size)) {
    copyThrough(source, copy, size, hash);
    return;
  }
  copyData(source, copy, stat);
  if (hash) hashContent(source, hash);
}

/** By way of this process, which may hash what passes. */
function copyThrough(source: number, copy: number, size: number, hash: CryptoHasher | undefined): void {
  const buffer = Buffer.allocUnsafe(Math.min(size, piece));
  for (let done = 0; done < size; ) {
    const length = readSync(source, buffer, 0, Math.min(buffer.length, size - done), null);
    if (length === 0) return;
    hash?.update(buffer.subarray(0, length));
    for (let at = 0; at < length; ) at += writeSync(copy, buffer, at, length - at);
    done += length;
  }
}

/** A link, device, fifo or socket. */
export function copySpecialNode(
  from: number,
  name: string,
  to: number,
  as: string,
  stat: FileStat,
  look: CopyLook,
  witness?: CopyWitness | undefined,
): void {
  // Overlay's mark of a removed name: in an upper directory it would be one.
  if (stat.kind === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0)
    throw new SystemError(1, "mknod", as);
  const { linkTarget, xattrs } = copySpecial(from, name, to, as, stat, lookOf(stat, look));
  witness?.saw(xattrText(from, name, xattrs), linkTarget ?? deviceOf(stat));
}
