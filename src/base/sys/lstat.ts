import { dlopen, FFIType as T } from "bun:ffi";
import { errno, SystemError } from "./libc.ts";

/** statx(2) by path. `stat.ts` has it relative to descriptors; this file is apart so that a command line's start loads nothing more. */
const { symbols: c } = dlopen("libc.so.6", {
  statx: { args: [T.i32, T.ptr, T.i32, T.u32, T.ptr], returns: T.i32 },
});

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
/** Type, mode, links, owner, time of the content's change, inode, size. */
const wanted = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x40 | 0x100 | 0x200;
const ENOENT = 2;
const pathBytes = 4096;

/** What a walk asks of an entry. */
export interface EntryFacts {
  /** Type and permission bits, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** The same for all names of a file that has several, "" for others. */
  readonly inode: string;
}

/** lstat(2) of one path after the other: half the time of `lstatSync`, which makes eighteen numbers of each, and of these with `bigint` objects. */
export class EntryReader {
  readonly #path = Buffer.alloc(pathBytes);
  readonly #stat = Buffer.alloc(256);
  readonly #words = new Uint32Array(this.#stat.buffer, this.#stat.byteOffset, 64);
  /** Files of one checkout share their second: its nanoseconds are worked out once. */
  #second = 0;
  #nanoseconds = 0n;

  /** undefined: nothing is there. Throws SystemError. */
  read(path: string): EntryFacts | undefined {
    // A path of that length may not fit: what is not copied whole is refused by the kernel, or here.
    const length = path.length < pathBytes / 4 ? this.#path.write(path) : this.#writeLong(path);
    this.#path[length] = 0;
    if (c.statx(AT_FDCWD, this.#path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, wanted, this.#stat) < 0) {
      const code = errno();
      if (code === ENOENT) return undefined;
      throw new SystemError(code, "lstat", path);
    }
    // Written out, as most of these calls are made before anything is compiled.
    const words = this.#words;
    const second = ((words[29] ?? 0) | 0) * 2 ** 32 + (words[28] ?? 0);
    if (second !== this.#second) {
      this.#second = second;
      this.#nanoseconds = BigInt(second) * 1_000_000_000n;
    }
    const nlink = words[4] ?? 0;
    return {
      mode: (words[7] ?? 0) & 0xffff,
      nlink,
      uid: words[5] ?? 0,
      gid: words[6] ?? 0,
      size: (words[11] ?? 0) * 2 ** 32 + (words[10] ?? 0),
      mtime: this.#nanoseconds + BigInt(words[30] ?? 0),
      rdevMajor: words[32] ?? 0,
      rdevMinor: words[33] ?? 0,
      inode: nlink > 1 ? `${words[34]}:${words[35]}:${words[9]}:${words[8]}` : "",
    };
  }

  #writeLong(path: string): number {
    const bytes = Buffer.from(path);
    if (bytes.length >= pathBytes) throw new SystemError(36, "lstat", path);
    return bytes.copy(this.#path);
  }
}
