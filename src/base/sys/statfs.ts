import { dlopen, FFIType as T } from "bun:ffi";
import { cpath } from "./at.ts";
import { errno, SystemError } from "./libc.ts";

const { symbols: c } = dlopen("libc.so.6", {
  statfs: { args: [T.ptr, T.ptr], returns: T.i32 },
});

export interface FileSystemInfo {
  /** Magic number (statfs(2)). */
  readonly magic: number;
  /** Docker's word for it in `info`, e.g. "extfs". */
  readonly name: string;
  readonly totalBytes: number;
  readonly availableBytes: number;
}

/** Which file system `path` lies on. */
export function statFileSystem(path: string): FileSystemInfo {
  const b = Buffer.alloc(256);
  if (c.statfs(cpath(path), b) < 0) throw new SystemError(errno(), "statfs", path);
  // struct statfs of 64-bit Linux: f_type, f_bsize, f_blocks, f_bfree, f_bavail, ... as 8-byte words.
  const magic = Number(b.readBigUInt64LE(0) & 0xffffffffn);
  const block = Number(b.readBigUInt64LE(8));
  return {
    magic,
    name: names[magic] ?? "<unknown>",
    totalBytes: Number(b.readBigUInt64LE(16)) * block,
    availableBytes: Number(b.readBigUInt64LE(32)) * block,
  };
}

/** statfs(2) magics under the names that Docker's graph drivers give them. */
const names: Readonly<Record<number, string>> = {
  61267: "extfs",
  1481003842: "xfs",
  2435016766: "btrfs",
  16914836: "tmpfs",
  2035054128: "overlayfs",
  26985: "nfs",
  801189825: "zfs",
  4076150800: "f2fs",
  16914839: "9p",
  1702057286: "fuse",
  3393526350: "bcachefs",
  1635083891: "aufs",
  61791: "ecryptfs",
};
