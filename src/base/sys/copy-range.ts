import { dlopen, FFIType as T } from "bun:ffi";
import { readSync, writeSync } from "node:fs";
import { errno, SystemError } from "./libc.ts";

const { symbols: c } = dlopen("libc.so.6", {
  copy_file_range: { args: [T.i32, T.ptr, T.i32, T.ptr, T.u64, T.u32], returns: T.i64_fast },
  sendfile: { args: [T.i32, T.i32, T.ptr, T.u64], returns: T.i64_fast },
  lseek: { args: [T.i32, T.i64, T.i32], returns: T.i64_fast },
});

const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

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
  // Between different file systems (an overlay and what it lies on) the kernel moves pages all the same, without copying them out and in.
  const sent = Number(c.sendfile(to, from, null, Math.min(limit, 0x7ffff000)));
  if (sent >= 0) return sent;
  const refusal = new SystemError(errno(), "sendfile");
  if (!unable.includes(refusal.code)) throw refusal;
  const buffer = Buffer.allocUnsafe(Math.min(limit, 1 << 20));
  const length = readSync(from, buffer, 0, buffer.length, null);
  for (let at = 0; at < length; ) at += writeSync(to, buffer, at, length - at);
  return length;
}

/**
 * Where a file holds data, in order (lseek(2), SEEK_DATA), each stretch after setting the positions of `from` and `to` to its start: who
 * copies no more than `length` bytes for each keeps the holes, of which a hostile image can have terabytes. The caller sets the length.
 */
export function* dataRanges(from: number, to: number): Generator<number, void, undefined> {
  for (let at = 0; ; ) {
    let start = Number(c.lseek(from, at, SEEK_DATA));
    if (start < 0) {
      const error = new SystemError(errno(), "lseek");
      if (error.code === "ENXIO") return;
      // A file system that knows nothing of holes.
      if (error.code !== "EINVAL" || at > 0) throw error;
      start = 0;
    }
    const end = Number(c.lseek(from, start, SEEK_HOLE));
    seek(from, start);
    seek(to, start);
    yield end > start ? end - start : Number.MAX_SAFE_INTEGER;
    if (end <= start) return;
    at = end;
  }
}

function seek(fd: number, at: number): void {
  if (Number(c.lseek(fd, at, SEEK_SET)) < 0) throw new SystemError(errno(), "lseek");
}
