import { dlopen, FFIType as T } from "bun:ffi";
import { errno, SystemError } from "./libc.ts";
import { closeFd } from "./net/sockets.ts";

const { symbols: c } = dlopen("libc.so.6", {
  pipe2: { args: [T.ptr, T.i32], returns: T.i32 },
  fcntl: { args: [T.i32, T.i32, T.i32], returns: T.i32 },
  ioctl: { args: [T.i32, T.u64, T.ptr], returns: T.i32 },
});
const O_CLOEXEC = 0o2000000;
const F_GETPIPE_SZ = 1032;
const FIONREAD = 0x541b;

/**
 * A pipe(2) for a child's standard stream. What `Bun.spawn` makes for "pipe" is a socket, which cannot be opened by its name:
 * a shell's `> /dev/stderr` would fail with ENXIO.
 */
export class Pipe implements Disposable {
  readonly read: number;
  readonly write: number;
  #open: number[];

  constructor() {
    const ends = Buffer.alloc(8);
    if (c.pipe2(ends, O_CLOEXEC) < 0) throw new SystemError(errno(), "pipe2");
    this.read = ends.readInt32LE(0);
    this.write = ends.readInt32LE(4);
    this.#open = [this.read, this.write];
  }

  /** The other end is the child's alone from now on, so that reading ends when it does. */
  closeWrite(): void {
    this.#close(this.write);
  }

  [Symbol.dispose](): void {
    for (const fd of [...this.#open]) this.#close(fd);
  }

  #close(fd: number): void {
    if (!this.#open.includes(fd)) return;
    this.#open = this.#open.filter((one) => one !== fd);
    closeFd(fd);
  }
}

/**
 * Whether a pipe takes no more, by either of its ends: all its pages are in use. They are more than half full on average then, since what
 * fits into the last one is added to it (pipe_write in fs/pipe.c).
 */
export function isPipeFull(fd: number): boolean {
  const waiting = Buffer.alloc(4);
  const capacity = c.fcntl(fd, F_GETPIPE_SZ, 0);
  if (capacity < 0) throw new SystemError(errno(), "F_GETPIPE_SZ");
  if (c.ioctl(fd, FIONREAD, waiting) < 0) throw new SystemError(errno(), "FIONREAD");
  return waiting.readInt32LE() * 2 > capacity;
}
