import { writeSync } from "node:fs";
import type { TarEntry } from "../../../base/lib/tar/entry.ts";
import {
  chmodat,
  fchmod,
  fchown,
  ftruncate,
  futimes,
  lchownat,
  lutimesat,
  makedev,
  mknodat,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  type Times,
} from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { isControlXattr, setXattr } from "../../../base/sys/xattr.ts";

/**
 * What a tar says of a node beyond its name, put onto one that was just made: shared by whoever applies a layer and whoever
 * takes an archive into a container. Owner first, since chown clears set-id bits and capabilities; times last.
 */
export interface Dress {
  readonly owner: { readonly uid: number; readonly gid: number };
  /** It was made with that owner. */
  readonly owned?: boolean;
  /** Whether the mode is still to be set; `acl`: an access list was set, which changes it. */
  chmod(acl: boolean): boolean;
}

/** A regular file whose content is complete. */
export function dressFile(fd: number, dir: number, name: string, entry: TarEntry, dress: Dress): void {
  if (entry.sparse) ftruncate(fd, entry.size);
  if (!dress.owned) fchown(fd, dress.owner.uid, dress.owner.gid);
  const acl = setAttributes(dir, name, entry);
  if (dress.chmod(acl)) fchmod(fd, entry.mode & 0o7777);
  futimes(fd, timesOf(entry));
}

/** A directory, but its times, which wait until nothing more is put into it. */
export function dressDirectory(fd: number, entry: TarEntry, owner: Dress["owner"]): boolean {
  fchown(fd, owner.uid, owner.gid);
  const acl = setAttributes(fd, "", entry);
  fchmod(fd, entry.mode & 0o7777);
  return acl;
}

/** A link, device or fifo. */
export function dressNode(dir: number, name: string, entry: TarEntry, dress: Dress): void {
  if (!dress.owned) lchownat(dir, name, dress.owner.uid, dress.owner.gid);
  const acl = setAttributes(dir, name, entry);
  if (entry.kind !== "symlink" && dress.chmod(acl)) {
    chmodat(dir, name, entry.mode & 0o7777);
  }
  lutimesat(dir, name, timesOf(entry));
}

/** Makes the device or fifo that an entry of such a kind describes. */
export function makeNode(dir: number, name: string, entry: TarEntry, mode: number): void {
  const type = entry.kind === "char" ? S_IFCHR : entry.kind === "block" ? S_IFBLK : S_IFIFO;
  const device = entry.kind === "fifo" ? 0n : makedev(entry.deviceMajor, entry.deviceMinor);
  mknodat(dir, name, type | mode, device);
}

/** Bytes of an entry at `offset` of its file; without holes they follow each other. */
export function writeContent(fd: number, chunk: Uint8Array, offset: number, sparse: boolean): void {
  for (let at = 0; at < chunk.length; ) {
    at += writeSync(fd, chunk, at, chunk.length - at, sparse ? offset + at : null);
  }
}

/** When a member was changed and last read, as far as the tar tells. */
export function timesOf(entry: TarEntry): Times {
  return { atime: entry.atime ?? entry.mtime, mtime: entry.mtime };
}

/** Sets extended attributes; true when an access list was among them. */
function setAttributes(dir: number, name: string, entry: TarEntry): boolean {
  let acl = false;
  for (const [key, value] of entry.xattrs) {
    if (isControlXattr(key)) continue;
    try {
      setXattr(dir, name, key, value);
    } catch (error) {
      const code = error instanceof SystemError ? error.code : "";
      // The file system cannot hold it, or user.* on something that is neither file nor directory: Docker goes on as well.
      if (code !== "EOPNOTSUPP" && !(code === "EPERM" && key.startsWith("user."))) throw error;
    }
    if (key.startsWith("system.posix_acl_")) acl = true;
  }
  return acl;
}
