import { dlopen, FFIType as T } from "bun:ffi";
import { readSync, writeSync } from "node:fs";
import { errno, SystemError } from "./libc.ts";

const { symbols: c } = dlopen("libc.so.6", {
  copy_file_range: { args: [T.i32, T.ptr, T.i32, T.ptr, T.u64, T.u32], returns: T.i64_fast },
});

/** Errors that say "not between these two files": read and write instead (copy_file_range(2)). */
const unable: readonly string[] = ["EXDEV", "EINVAL", "EOPNOTSUPP", "ENOSYS"];

/**
 * Copies at most `limit` bytes from the position of one file to the position of another, inside the kernel (and as a reflink where the
 * file system can). Returns the bytes copied, 0 at the end of the source.
 */
export function copyRange(from: number, to: number, limit: number): number {
  const copied = Number(c.copy_file_range(from, null, to, null, limit, 0));
  if (copied >= 0) return copied;
  const error = new SystemError(errno(), "copy_file_range");
  if (!unable.includes(error.code)) throw error;
  const buffer = Buffer.allocUnsafe(Math.min(limit, 1 << 20));
  const length = readSync(from, buffer, 0, buffer.length, null);
  for (let at = 0; at < length; ) at += writeSync(to, buffer, at, length - at);
  return length;
}
