import { decodePath } from "../lib/path-bytes.ts";
import {
  chmodat,
  closeFd,
  fchmod,
  fchown,
  futimes,
  lchownat,
  lutimesat,
  makedev,
  mknodat,
  O,
  openat,
  readlinkat,
  S_IFMT,
  symlinkat,
  type Times,
} from "./at.ts";
import { copyDataInSteps, largestStep } from "./copy-range.ts";
import type { FileStat } from "./stat.ts";
import { copyXattrs, listXattrs, listXattrsOf } from "./xattr.ts";

/** Owner, mode and times of a copy; a `FileStat` says those of what it was taken of. */
export interface NodeLook extends Times {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Copies of single nodes between open directories, with their extended attributes; `as` is a name that is free. In each the owner comes
 * first, because chown clears set-id bits and capabilities, and the times come last, because all else changes them.
 */

export function copyFile(from: number, name: string, to: number, as: string, stat: FileStat): void {
  for (const _ of copyFileInSteps(from, name, to, as, stat, largestStep));
}

/** A regular file, giving way after each `step` bytes. */
export function* copyFileInSteps(
  from: number,
  name: string,
  to: number,
  as: string,
  stat: FileStat,
  step: number,
): Generator<void, void, undefined> {
  const source = openat(from, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
  try {
    const copy = openat(to, as, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600);
    try {
      yield* copyDataInSteps(source, copy, stat, step);
      fchown(copy, stat.uid, stat.gid);
      copyXattrs(from, name, to, as, listXattrsOf(source));
      fchmod(copy, stat.mode & 0o7777);
      futimes(copy, stat);
    } finally {
      closeFd(copy);
    }
  } finally {
    closeFd(source);
  }
}

/** A symbolic link, device, fifo or socket. Tells what it read of it. */
export function copySpecial(
  from: number,
  name: string,
  to: number,
  as: string,
  stat: FileStat,
  look: NodeLook = stat,
): { readonly linkTarget: string | undefined; readonly xattrs: readonly string[] } {
  const linkTarget = stat.kind === "symlink" ? decodePath(readlinkat(from, name)) : undefined;
  if (linkTarget !== undefined) symlinkat(linkTarget, to, as);
  else mknodat(to, as, (stat.mode & S_IFMT) | 0o600, makedev(stat.rdevMajor, stat.rdevMinor));
  lchownat(to, as, look.uid, look.gid);
  const xattrs = listXattrs(from, name);
  copyXattrs(from, name, to, as, xattrs);
  if (linkTarget === undefined) chmodat(to, as, look.mode & 0o7777);
  lutimesat(to, as, look);
  return { linkTarget, xattrs };
}

/** Makes an open directory, whose entries are all there, look as another. */
export function dressAs(from: number, to: number, look: NodeLook): void {
  fchown(to, look.uid, look.gid);
  copyXattrs(from, "", to, "", listXattrsOf(from));
  fchmod(to, look.mode & 0o7777);
  futimes(to, look);
}
