import { dlopen, FFIType, ptr } from "bun:ffi";
import { errno, SystemError } from "./libc.ts";
import { closeFd } from "./net/sockets.ts";

const lib = dlopen("libc.so.6", {
  epoll_create1: { args: [FFIType.i32], returns: FFIType.i32 },
  epoll_ctl: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  epoll_wait: { args: [FFIType.i32, FFIType.ptr, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
const batch = 64;
const maxFailures = 1000;
/** `struct epoll_event` is packed on x86-64 alone (epoll_ctl(2); include/uapi/linux/eventpoll.h). */
const layout = process.arch === "x64" ? { size: 12, data: 4 } : { size: 16, data: 8 };

export interface Timer {
  cancel(): void;
}

interface Deadline {
  readonly at: number;
  readonly run: () => void;
}

/**
 * A synchronous event loop over raw descriptors (epoll(7), level triggered) for programs that are nothing else: it blocks the
 * JavaScript thread in `run`, so promises and Bun's own I/O stand still meanwhile. A callback that throws is reported and the
 * loop goes on, up to `maxFailures` in all: one bad event must not end what others depend on, a broken loop must not spin.
 */
export class EventLoop implements Disposable {
  readonly #fd: number;
  readonly #handlers = new Map<number, (events: number) => void>();
  readonly #deadlines = new Set<Deadline>();
  readonly #events = Buffer.alloc(layout.size * batch);
  readonly #report: (error: unknown) => void;
  #failures = 0;
  #running = false;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
    this.#fd = lib.symbols.epoll_create1(EPOLL_CLOEXEC);
    if (this.#fd < 0) throw new SystemError(errno(), "epoll_create1");
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }

  #control(operation: number, fd: number, events: number): void {
    const event = Buffer.alloc(layout.size);
    event.writeUInt32LE(events, 0);
    event.writeInt32LE(fd, layout.data);
    if (lib.symbols.epoll_ctl(this.#fd, operation, fd, ptr(event)) !== 0)
      throw new SystemError(errno(), "epoll_ctl");
  }

  /** Calls `handler` whenever one of `events` (or an error, always) is pending. Again for the same fd: replaces both. */
  watch(fd: number, events: number, handler: (events: number) => void): void {
    this.#control(this.#handlers.has(fd) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, events);
    this.#handlers.set(fd, handler);
  }

  /** Before closing the fd. */
  unwatch(fd: number): void {
    if (this.#handlers.delete(fd)) this.#control(EPOLL_CTL_DEL, fd, 0);
  }

  after(milliseconds: number, run: () => void): Timer {
    const deadline: Deadline = { at: performance.now() + milliseconds, run };
    this.#deadlines.add(deadline);
    return { cancel: () => this.#deadlines.delete(deadline) };
  }

  stop(): void {
    this.#running = false;
  }

  /** Runs until `stop`. */
  run(): void {
    this.#running = true;
    while (this.#running) {
      const count = lib.symbols.epoll_wait(this.#fd, ptr(this.#events), batch, this.#patience());
      if (count < 0) {
        const error = errno();
        if (error !== 4) throw new SystemError(error, "epoll_wait");
      }
      for (let i = 0; i < count; i++) {
        const at = i * layout.size;
        // A handler of this round may have closed the descriptor of a later event.
        const handler = this.#handlers.get(this.#events.readInt32LE(at + layout.data));
        const events = this.#events.readUInt32LE(at);
        if (handler) this.#guard(() => handler(events));
      }
      const now = performance.now();
      for (const deadline of [...this.#deadlines]) {
        if (deadline.at > now || !this.#deadlines.delete(deadline)) continue;
        this.#guard(deadline.run);
      }
    }
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      if (++this.#failures > maxFailures) throw error;
      this.#report(error);
    }
  }

  #patience(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const deadline of this.#deadlines) first = Math.min(first, deadline.at);
    if (first === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, Math.min(Math.ceil(first - performance.now()), 0x7fffffff));
  }
}
