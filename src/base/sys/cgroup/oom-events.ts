import { dlopen, FFIType as T } from "bun:ffi";
import { closeSync, existsSync, mkdirSync, openSync, readSync, writeFileSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errno, SystemError } from "../libc.ts";
import type { CgroupPaths } from "./cgroup.ts";

const { symbols: c } = dlopen("libc.so.6", {
  eventfd: { args: [T.u32, T.i32], returns: T.i32 },
});
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const controlFile = "cgroup.event_control";
/** Between two looks, and how many more there are when the removal was told of. */
const LOOK_MS = 5;
const MORE_LOOKS = 10;
/** The kernel tells of a cgroup's removal from its work queues: after some 20 ms, on a busy machine after some hundred. */
const PATIENCE_MS = 10_000;
/** The same where no event is of the removal alone, because the kernel has none such. */
const GUESS_MS = 150;
/** And because we were held up until the cgroup had gone: where that happens the kernel's work queues are late as well. */
const LATE_GUESS_MS = 2000;
/** More than any cgroup uses. */
const UNREACHABLE = 1n << 62n;

/**
 * Learns of OOM kills in a v1 cgroup that its runtime removes before anybody can read what was counted there. An eventfd of ours is signalled
 * for each time that the cgroup ran out of memory, before anything is killed, and once more some time after the cgroup was removed
 * (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control"; memcg_event_remove in mm/memcontrol-v1.c). A second one, for a
 * threshold that is never crossed, is signalled by the removal alone, and a grace period of the kernel's later.
 */
export class OomEvents implements Disposable {
  readonly #memory: EventFd;
  readonly #removal: EventFd;
  readonly #directory: string;
  /** So long the removal's event is waited for; known when the second one was registered, or could not be. */
  readonly #patience: Promise<number>;

  private constructor(memory: EventFd, removal: EventFd, directory: string) {
    this.#memory = memory;
    this.#removal = removal;
    this.#directory = directory;
    this.#patience = registerThreshold(directory, removal);
  }

  /** Makes the memory controller's cgroup, so that nothing can be missed. Undefined on v2, and where the kernel tells of no events. */
  static open(paths: CgroupPaths): OomEvents | undefined {
    const directory = paths[""] === undefined ? paths["memory"] : undefined;
    if (directory === undefined) return undefined;
    mkdirSync(directory, { recursive: true });
    const control = join(directory, controlFile);
    if (!existsSync(control)) return undefined; // a kernel with real-time preemption has none
    using undo = new DisposableStack();
    const memory = undo.use(new EventFd());
    const about = openSync(join(directory, "memory.oom_control"), "r");
    try {
      writeFileSync(control, `${memory.fd} ${about}`);
    } finally {
      closeSync(about);
    }
    const removal = undo.use(new EventFd());
    undo.move();
    return new OomEvents(memory, removal, directory);
  }

  /** Whether memory ran out in the cgroup so far. Undefined when that cannot be told from the cgroup's removal yet. */
  look(): boolean | undefined {
    const seen = this.#memory.seen();
    // Looked at after the reading: while the cgroup is there, nothing that was read can be its removal.
    return seen !== 1 || existsSync(this.#directory) ? seen > 0 : undefined;
  }

  /** The same when all is over: one signal of a cgroup that is gone is its removal, unless another one follows. */
  async happened(): Promise<boolean> {
    const patience = await this.#patience;
    const end = performance.now() + patience;
    for (let looks = 0; looks < MORE_LOOKS && performance.now() < end; ) {
      const seen = this.look();
      if (seen !== undefined) return seen;
      if (this.#removal.seen() > 0) looks++;
      await Bun.sleep(LOOK_MS);
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    // Its number must not become another file's while the kernel is still to be told of it.
    void this.#patience.then(() => this.#removal[Symbol.dispose]());
  }
}

/** Says how long to wait for it. Beside everything else, as the kernel waits for a grace period of some 15 ms (synchronize_rcu). */
async function registerThreshold(directory: string, event: EventFd): Promise<number> {
  try {
    await using about = await open(join(directory, "memory.usage_in_bytes"), "r");
    await writeFile(join(directory, controlFile), `${event.fd} ${about.fd} ${UNREACHABLE}`);
    return PATIENCE_MS;
  } catch {
    // The cgroup has gone already, or the kernel has no thresholds: then time decides.
    return existsSync(directory) ? GUESS_MS : LATE_GUESS_MS;
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
