import { dlopen, FFIType as T } from "bun:ffi";
import { basename, dirname } from "node:path";
import { AT_FDCWD, closeFd, cpath, O, openat } from "./at.ts";
import { errno, SystemError } from "./libc.ts";
import { lstatat, tryLstatat } from "./stat.ts";
import { walkTree, withinMount } from "./walk.ts";

const { symbols: c } = dlopen("libc.so.6", {
  ioctl: { args: [T.i32, T.u64, T.ptr], returns: T.i32 },
});

/** include/uapi/linux/btrfs.h; the structures of the first four are a page. */
const SUBVOL_CREATE = 0x5000940e;
const SNAP_DESTROY = 0x5000940f;
const SNAP_CREATE_V2 = 0x50009417;
const INO_LOOKUP = 0xd0009412;
const SUBVOL_GETFLAGS = 0x80089419;
const SUBVOL_SETFLAGS = 0x4008941a;
const QUOTA_CTL = 0xc0109428;
const QGROUP_CREATE = 0x4010942a;
const QGROUP_LIMIT = 0x8030942b;
const SUBVOL_RDONLY = 2n;
const QUOTA_CTL_ENABLE = 1n;
const QGROUP_LIMIT_MAX_RFER = 1n;
/** Inode number of every subvolume's root directory (BTRFS_FIRST_FREE_OBJECTID). */
const subvolumeRoot = 256n;
/** Where a name lies in `struct btrfs_ioctl_vol_args` and `..._v2`. */
const nameAt = 8;
const nameAtV2 = 56;

function control(fd: number, request: number, data: Buffer, call: string, path: string): void {
  if (c.ioctl(fd, request, data) < 0) throw new SystemError(errno(), call, path);
}

function withDirectory<R>(path: string, use: (fd: number) => R, flags: number = O.RDONLY): R {
  const fd = openat(AT_FDCWD, path, flags | O.DIRECTORY | O.NOFOLLOW);
  try {
    return use(fd);
  } finally {
    closeFd(fd);
  }
}

/** A page with a name in it. */
function named(path: string, at: number): Buffer {
  const page = Buffer.alloc(4096);
  const name = cpath(basename(path));
  if (name.length > 256) throw new SystemError(36, "btrfs", path);
  name.copy(page, at);
  return page;
}

/** Makes an empty subvolume at `path`, whose parent directory exists. ENOTTY: that is not on btrfs. */
export function createSubvolume(path: string): void {
  const page = named(path, nameAt);
  withDirectory(dirname(path), (fd) => control(fd, SUBVOL_CREATE, page, "BTRFS_IOC_SUBVOL_CREATE", path));
}

/**
 * A writable snapshot of the subvolume `source` at `path`. Subvolumes inside the source show as empty directories. It ends with
 * a commit of the file system's transaction, so it takes as long as the dirty data there need.
 */
export function snapshotSubvolume(source: string, path: string): void {
  const page = named(path, nameAtV2);
  withDirectory(source, (from) => {
    page.writeBigInt64LE(BigInt(from), 0);
    withDirectory(dirname(path), (fd) => control(fd, SNAP_CREATE_V2, page, "BTRFS_IOC_SNAP_CREATE_V2", path));
  });
}

export function isSubvolume(path: string): boolean {
  const stat = tryLstatat(AT_FDCWD, path);
  return stat?.kind === "directory" && stat.ino === subvolumeRoot;
}

/**
 * Removes the subvolume at `path` with its accounting group and all subvolumes in it, which whoever may write there could have
 * made, read-only ones included. Nothing is followed and no mount crossed. Nothing there is fine.
 */
export async function destroySubvolume(path: string): Promise<void> {
  const dir = openat(AT_FDCWD, dirname(path), O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    await destroyAt(dir, basename(path));
  } finally {
    closeFd(dir);
  }
}

async function destroyAt(dir: number, name: string): Promise<void> {
  const stat = tryLstatat(dir, name);
  if (!stat) return;
  const page = named(name, nameAt);
  const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    forgetGroup(fd);
    if (c.ioctl(dir, SNAP_DESTROY, page) >= 0) return;
    const code = errno();
    // ENOTEMPTY: it holds subvolumes (btrfs_may_delete and may_destroy_subvol in fs/btrfs/ioctl.c).
    if (code !== 39) throw new SystemError(code, "BTRFS_IOC_SNAP_DESTROY", name);
    makeWritable(fd);
    let since = performance.now();
    for (const entry of walkTree(fd, { crosses: withinMount })) {
      if (performance.now() - since > 4) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        since = performance.now();
      }
      if (entry.stat.kind !== "directory" || entry.stat.ino !== subvolumeRoot) continue;
      if (entry.stat.device === lstatat(entry.dir).device) continue;
      entry.skip();
      await destroyAt(entry.dir, entry.name);
    }
  } finally {
    closeFd(fd);
  }
  control(dir, SNAP_DESTROY, page, "BTRFS_IOC_SNAP_DESTROY", name);
}

/** What lies in a read-only subvolume could not be removed. */
function makeWritable(fd: number): void {
  const flags = Buffer.alloc(8);
  control(fd, SUBVOL_GETFLAGS, flags, "BTRFS_IOC_SUBVOL_GETFLAGS", "");
  const value = flags.readBigUInt64LE();
  if ((value & SUBVOL_RDONLY) === 0n) return;
  flags.writeBigUInt64LE(value & ~SUBVOL_RDONLY);
  control(fd, SUBVOL_SETFLAGS, flags, "BTRFS_IOC_SUBVOL_SETFLAGS", "");
}

/**
 * Removes the accounting group of a subvolume that is about to go: older kernels keep it for good. Newer ones refuse while the
 * subvolume is there and remove it with the subvolume (btrfs_qgroup_cleanup_dropped_subvolume); without quotas there is none. So a
 * refusal is no failure.
 */
function forgetGroup(fd: number): void {
  const lookup = Buffer.alloc(4096);
  lookup.writeBigUInt64LE(subvolumeRoot, 8);
  if (c.ioctl(fd, INO_LOOKUP, lookup) < 0) return;
  const group = Buffer.alloc(16);
  lookup.copy(group, 8, 0, 8);
  c.ioctl(fd, QGROUP_CREATE, group);
}

/**
 * Switches the file system's quota accounting on; nothing happens where it is on. What is there already is counted in the
 * background, so a limit on what was made from it holds fully only when that is done.
 */
export function enableQuota(path: string): void {
  const args = Buffer.alloc(16);
  args.writeBigUInt64LE(QUOTA_CTL_ENABLE, 0);
  withDirectory(path, (fd) => control(fd, QUOTA_CTL, args, "BTRFS_IOC_QUOTA_CTL", path));
}

/** Limits what the subvolume at `path` refers to, shared blocks included; writes past it are EDQUOT. ENOTCONN: quotas are off. */
export function limitSubvolume(path: string, bytes: number): void {
  const args = Buffer.alloc(48);
  args.writeBigUInt64LE(QGROUP_LIMIT_MAX_RFER, 8);
  args.writeBigUInt64LE(BigInt(bytes), 16);
  withDirectory(path, (fd) => control(fd, QGROUP_LIMIT, args, "BTRFS_IOC_QGROUP_LIMIT", path));
}
