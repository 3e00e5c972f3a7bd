import { dlopen, FFIType as T } from "bun:ffi";
import { closeFd, cpath } from "./at.ts";
import { errno, SystemError } from "./libc.ts";
import { MS, mount } from "./mount.ts";
import { SYS } from "./syscalls.ts";

/**
 * Mounting by descriptor in a mount namespace of one's own: what is mounted where is decided by two open descriptors, so no
 * path is resolved a second time and nobody can swap a component in between; and no other process ever sees the mounts.
 */
const { symbols: c } = dlopen("libc.so.6", {
  unshare: { args: [T.i32], returns: T.i32 },
  statx: { args: [T.i32, T.ptr, T.i32, T.u32, T.ptr], returns: T.i32 },
  fstatfs: { args: [T.i32, T.ptr], returns: T.i32 },
});
const { symbols: tree } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.u64], returns: T.i64_fast },
});
const { symbols: setattr } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.u64, T.ptr, T.u64], returns: T.i64_fast },
});
const { symbols: move } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.i64, T.ptr, T.u64], returns: T.i64_fast },
});

const CLONE_NEWNS = 0x20000;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
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
 * What `source` (a directory or file descriptor, O_PATH will do) shows, with all below it, as mounts in no namespace: they end with
 * the returned descriptor.
 */
export function cloneTree(source: number): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  const copy = Number(tree.syscall(SYS.open_tree, source, cpath(""), flags));
  if (copy < 0) throw new SystemError(errno(), "open_tree");
  return copy;
}

/** Mounts what `source` (a directory or file descriptor, O_PATH will do) shows, with all below it, on what `target` is. */
export function bindDescriptor(
  source: number,
  target: number,
  options: { readonly readonly: boolean },
): void {
  const copy = cloneTree(source);
  try {
    if (options.readonly) {
      const attributes = Buffer.alloc(32);
      attributes.writeBigUInt64LE(MOUNT_ATTR_RDONLY, 0);
      const set = setattr.syscall(
        SYS.mount_setattr,
        copy,
        cpath(""),
        AT_EMPTY_PATH | AT_RECURSIVE,
        attributes,
        attributes.length,
      );
      if (Number(set) < 0) throw new SystemError(errno(), "mount_setattr");
    }
    const moved = move.syscall(
      SYS.move_mount,
      copy,
      cpath(""),
      target,
      cpath(""),
      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
    );
    if (Number(moved) < 0) throw new SystemError(errno(), "move_mount");
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
