import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, closeFd, cpath, O, openat } from "../at.ts";
import { errno, SystemError } from "../libc.ts";
import { cloneTree, moveMount, setMountAttributes } from "./calls.ts";
import { MS, mount } from "./mount.ts";

/**
 * Mounting by descriptor in a mount namespace of one's own: what is mounted where is decided by two open descriptors, so no
 * path is resolved a second time and nobody can swap a component in between; and no other process ever sees the mounts.
 */
const { symbols: c } = dlopen("libc.so.6", {
  unshare: { args: [T.i32], returns: T.i32 },
  statx: { args: [T.i32, T.ptr, T.i32, T.u32, T.ptr], returns: T.i32 },
  fstatfs: { args: [T.i32, T.ptr], returns: T.i32 },
});
const CLONE_NEWNS = 0x20000;
const AT_EMPTY_PATH = 0x1000;
const STATX_MNT_ID = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const MOUNT_ATTR_RDONLY = 1n;

/**
 * Gives this thread a mount namespace of its own for good; its mounts end with the process, however that ends. For one-shot
 * helper programs only: other threads stay where they are, so afterwards only this thread may resolve paths.
 */
export function enterOwnMountNamespace(): void {
  if (c.unshare(CLONE_NEWNS) < 0) throw new SystemError(errno(), "unshare");
  // Nothing that is mounted here may travel to the host, whatever its mounts are shared with.
  mount("", "/", "", MS.PRIVATE | MS.REC);
}

/**
 * Makes everything that this thread's mount namespace shows read-only; mounts that are in no namespace (`cloneTree`, `clonePath`) stay as they
 * are. False where the kernel cannot (before 5.12), or must not.
 */
export function makeNamespaceReadOnly(): boolean {
  const top = openat(AT_FDCWD, "/", O.PATH | O.DIRECTORY);
  try {
    setMountAttributes(top, { set: MOUNT_ATTR_RDONLY, recursive: true });
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    closeFd(top);
  }
}

/** Mounts what `source` (a directory or file descriptor, O_PATH will do) shows, with all below it, on what `target` is. */
export function bindDescriptor(
  source: number,
  target: number,
  options: { readonly readonly: boolean },
): void {
  const copy = cloneTree(source);
  try {
    if (options.readonly) setMountAttributes(copy, { set: MOUNT_ATTR_RDONLY, recursive: true });
    moveMount(copy, target);
  } finally {
    closeFd(copy);
  }
}

/** The id, as in /proc/<pid>/mountinfo, of the mount that `name` below `dir` lies on; `name` "" is `dir` itself. */
export function mountIdAt(dir: number, name = ""): number {
  const buffer = Buffer.alloc(256);
  const flags = AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW | (name === "" ? AT_EMPTY_PATH : 0);
  if (c.statx(dir, cpath(name), flags, STATX_MNT_ID, buffer) < 0) {
    throw new SystemError(errno(), "statx", name === "" ? String(dir) : name);
  }
  return Number(buffer.readBigUInt64LE(144));
}

/** statfs(2) magic of the file system that a descriptor lies on. */
export function fileSystemMagic(fd: number): number {
  const buffer = Buffer.alloc(256);
  if (c.fstatfs(fd, buffer) < 0) throw new SystemError(errno(), "fstatfs", String(fd));
  return Number(buffer.readBigUInt64LE(0) & 0xffffffffn);
}
