import { dlopen, FFIType as T } from "bun:ffi";
import { readSync, writeSync } from "node:fs";
import { ftruncate } from "./at.ts";
import { errno, SystemError } from "./libc.ts";
import type { FileStat } from "./stat.ts";

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

/** Bytes of a single call: what the kernel takes at once anyway is a little less than 2 GiB. */
export const largestStep = 1 << 30;

/** Copies what a file holds into one that was just made, both at their start. Holes stay holes: of these a hostile image can have terabytes. */
export function copyData(from: number, to: number, stat: Pick<FileStat, "size" | "allocated">): void {
  for (const _ of copyDataInSteps(from, to, stat, largestStep));
}

/** The same, giving way after each `step` bytes. */
export function* copyDataInSteps(
  from: number,
  to: number,
  { size, allocated }: Pick<FileStat, "size" | "allocated">,
  step: number,
): Generator<void, void, undefined> {
  const sparse = allocated < size;
  for (let left of sparse ? dataRanges(from, to) : [size]) {
    for (let copied = 1; left > 0 && copied > 0; left -= copied) {
      copied = copyRange(from, to, Math.min(step, left));
      yield;
    }
  }
  if (sparse) ftruncate(to, size);
}

/**
 * Copies at most `limit` bytes from the position of one file to the position of another, inside the kernel (and as a reflink where the
 * file system can). Returns the bytes copied, 0 at the end of the source.
 */
function copyRange(from: number, to: number, limit: number): number {
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
 * copies no more than `length` bytes for each keeps the holes. The caller sets the length.
 */
function* dataRanges(from: number, to: number): Generator<number, void, undefined> {
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
