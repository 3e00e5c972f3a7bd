import { dlopen, FFIType as T } from "bun:ffi";
import { closeSync, existsSync, mkdirSync, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errno, SystemError } from "../libc.ts";
import type { CgroupPaths } from "./cgroup.ts";

const { symbols: c } = dlopen("libc.so.6", {
  eventfd: { args: [T.u32, T.i32], returns: T.i32 },
});
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
/** Between two looks. */
const LOOK_MS = 5;
/** The kernel tells of a cgroup's removal from its work queues: after some 20 ms, on a busy machine after some hundred. */
const PATIENCE_MS = 10_000;
/** More than any cgroup uses. */
const UNREACHABLE = 1n << 62n;

/**
 * Learns of OOM kills in a v1 cgroup that its runtime removes before anybody can read what was counted there. An eventfd of ours is signalled
 * for each time that the cgroup ran out of memory, before anything is killed, and once more some time after the cgroup was removed
 * (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"; memcg_event_remove in mm/memcontrol-v1.c). A second one, for a
 * threshold that is never crossed, is signalled by the removal alone, and after the first: the kernel takes the latest registration first.
 */
export class OomEvents implements Disposable {
  readonly #memory: EventFd;
  readonly #removal: EventFd;
  readonly #directory: string;

  private constructor(memory: EventFd, removal: EventFd, directory: string) {
    this.#memory = memory;
    this.#removal = removal;
    this.#directory = directory;
  }

  /** Makes the memory controller's cgroup, so that nothing can be missed. Undefined on v2, and where the kernel tells of no events. */
  static open(paths: CgroupPaths): OomEvents | undefined {
    const directory = paths[""] === undefined ? paths["memory"] : undefined;
    if (directory === undefined) return undefined;
    mkdirSync(directory, { recursive: true });
    const control = join(directory, "cgroup.event_control");
    if (!existsSync(control)) return undefined; // a kernel with real-time preemption has none
    using undo = new DisposableStack();
    const register = (file: string, detail = "") => {
      const event = undo.use(new EventFd());
      const about = openSync(join(directory, file), "r");
      try {
        writeFileSync(control, `${event.fd} ${about}${detail}`);
      } finally {
        closeSync(about);
      }
      return event;
    };
    const removal = register("memory.usage_in_bytes", ` ${UNREACHABLE}`);
    const memory = register("memory.oom_control");
    undo.move();
    return new OomEvents(memory, removal, directory);
  }

  /** Whether memory ran out in the cgroup so far. Undefined when that cannot be told from the cgroup's removal yet. */
  look(): boolean | undefined {
    const removed = this.#removal.seen() > 0;
    const seen = this.#memory.seen();
    // Looked at after the reading: while the cgroup is there, nothing that was read can be its removal.
    if (seen !== 1 || existsSync(this.#directory)) return seen > 0;
    return removed ? false : undefined;
  }

  /** The same when all is over: one signal of a cgroup that is gone is its removal, unless another one follows. */
  async happened(): Promise<boolean> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const seen = this.look();
      if (seen !== undefined) return seen;
      if (performance.now() > end) return false;
      await Bun.sleep(LOOK_MS);
    }
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    this.#removal[Symbol.dispose]();
  }
}

class EventFd implements Disposable {
  readonly fd: number;
  #seen = 0;

  constructor() {
    this.fd = c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (this.fd < 0) throw new SystemError(errno(), "eventfd");
  }

  /** How often it was signalled so far. Reading an eventfd empties it (eventfd(2)). */
  seen(): number {
    const count = Buffer.alloc(8);
    try {
      readSync(this.fd, count);
      this.#seen += Number(count.readBigUInt64LE());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
    return this.#seen;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
