import { dlopen, FFIType as T } from "bun:ffi";
import { AT_FDCWD, cpath } from "../at.ts";
import { errno, SystemError } from "../libc.ts";
import { SYS } from "../syscalls.ts";

/** The mount calls by descriptor, which have no wrapper in glibc 2.31: syscall(2), typed once for each argument list. */
const { symbols: tree } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.u64], returns: T.i64_fast },
});
const { symbols: setattr } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.u64, T.ptr, T.u64], returns: T.i64_fast },
});
const { symbols: move } = dlopen("libc.so.6", {
  syscall: { args: [T.i64, T.i64, T.ptr, T.i64, T.ptr, T.u64], returns: T.i64_fast },
});

const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;

/** What a mount_setattr(2) is to set. */
export interface MountAttributes {
  /** MOUNT_ATTR_* */
  readonly set: bigint;
  /** Of a user namespace, for MOUNT_ATTR_IDMAP. */
  readonly userns?: number;
  /** Of all mounts below as well. */
  readonly recursive?: boolean;
}

/**
 * What lies at a path, as a mount in no namespace: it ends with the returned descriptor (open_tree(2), OPEN_TREE_CLONE). What is mounted
 * below is left out.
 */
export function clonePath(path: string): number {
  const copy = Number(
    tree.syscall(SYS.open_tree, AT_FDCWD, cpath(path), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
  );
  if (copy < 0) throw new SystemError(errno(), "open_tree", path);
  return copy;
}

/** The same of what a descriptor (O_PATH will do) shows, with all that is mounted below it. */
export function cloneTree(source: number): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE;
  const copy = Number(tree.syscall(SYS.open_tree, source, cpath(""), flags));
  if (copy < 0) throw new SystemError(errno(), "open_tree");
  return copy;
}

/** mount_setattr(2) of a mount's descriptor. `about` is for the error. */
export function setMountAttributes(mount: number, attributes: MountAttributes, about?: string): void {
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(attributes.set, 0);
  bytes.writeBigUInt64LE(BigInt(attributes.userns ?? 0), 24);
  const flags = AT_EMPTY_PATH | (attributes.recursive ? AT_RECURSIVE : 0);
  const set = setattr.syscall(SYS.mount_setattr, mount, cpath(""), flags, bytes, bytes.length);
  if (Number(set) < 0) throw new SystemError(errno(), "mount_setattr", about);
}

/** Mounts what a descriptor holds on a path, or on what another descriptor is (move_mount(2)). */
export function moveMount(mount: number, target: string | number): void {
  const toPath = typeof target === "string";
  const moved = move.syscall(
    SYS.move_mount,
    mount,
    cpath(""),
    toPath ? AT_FDCWD : target,
    cpath(toPath ? target : ""),
    MOVE_MOUNT_F_EMPTY_PATH | (toPath ? 0 : MOVE_MOUNT_T_EMPTY_PATH),
  );
  if (Number(moved) < 0) throw new SystemError(errno(), "move_mount", toPath ? target : undefined);
}
