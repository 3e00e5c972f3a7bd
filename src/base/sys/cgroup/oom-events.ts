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
/** Between two looks, and how long the kernel may take to tell of a cgroup's removal. */
const LOOK_MS = 5;
const PATIENCE_MS = 150;

/**
 * Learns of OOM kills in a v1 cgroup that its runtime removes before anybody can read what was counted there. An eventfd of ours is signalled
 * for each time that the cgroup ran out of memory, before anything is killed, and once more some time after the cgroup was removed
 * (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"; memcg_event_remove in mm/memcontrol-v1.c).
 */
export class OomEvents implements Disposable {
  readonly #fd: number;
  readonly #directory: string;
  #seen = 0;

  private constructor(fd: number, directory: string) {
    this.#fd = fd;
    this.#directory = directory;
  }

  /** Makes the memory controller's cgroup, so that nothing can be missed. Undefined on v2, and where the kernel tells of no events. */
  static open(paths: CgroupPaths): OomEvents | undefined {
    const directory = paths[""] === undefined ? paths["memory"] : undefined;
    if (directory === undefined) return undefined;
    mkdirSync(directory, { recursive: true });
    const control = join(directory, "cgroup.event_control");
    if (!existsSync(control)) return undefined; // a kernel with real-time preemption has none
    const fd = c.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) throw new SystemError(errno(), "eventfd");
    try {
      const about = openSync(join(directory, "memory.oom_control"), "r");
      try {
        writeFileSync(control, `${fd} ${about}`);
      } finally {
        closeSync(about);
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return new OomEvents(fd, directory);
  }

  /** Whether memory ran out in the cgroup so far. Undefined when that cannot be told from the cgroup's removal yet. */
  look(): boolean | undefined {
    this.#read();
    // Looked at after the reading: while the cgroup is there, nothing that was read can be its removal.
    if (existsSync(this.#directory)) return this.#seen > 0;
    return this.#seen === 1 ? undefined : this.#seen > 1;
  }

  /** The same when all is over: one signal of a cgroup that is gone is its removal, unless another one follows. */
  async happened(): Promise<boolean> {
    for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
      const seen = this.look();
      if (seen !== undefined) return seen;
      await Bun.sleep(LOOK_MS);
    }
    return false;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Reading an eventfd empties it (eventfd(2)). */
  #read(): void {
    const count = Buffer.alloc(8);
    try {
      readSync(this.#fd, count);
      this.#seen += Number(count.readBigUInt64LE());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
