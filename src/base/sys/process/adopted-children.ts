import { dlopen, FFIType as T } from "bun:ffi";
import { readFileSync } from "node:fs";
import { errno, SystemError } from "../libc.ts";

const PR_SET_CHILD_SUBREAPER = 36;
const P_ALL = 0;
const P_PID = 1;
const WNOHANG = 0x1;
const WEXITED = 0x4;
const WNOWAIT = 0x0100_0000;
const ECHILD = 10;
/** siginfo_t of every 64-bit Linux: its size, and where si_pid stands in it, in 4 bytes each. */
const SIGINFO_WORDS = 32;
const SI_PID = 4;

/** Between two looks at children that have ended; the event loop turns meanwhile. */
const LOOK_MS = 5;
/** As many are taken away in one look, so that the event loop does not stand. */
const AT_ONCE = 1000;

/**
 * Makes this process the parent of whatever its descendants leave behind (PR_SET_CHILD_SUBREAPER), and takes the adopted away
 * when they end. Otherwise they are PID 1's, which may be late with it or never do it (a daemon that is PID 1 of a container, a
 * shell); and a PID namespace, so a container, has not ended while one of its processes is not taken away
 * (zap_pid_ns_processes in kernel/pid_namespace.c). An exec that is cut short leaves such a one.
 *
 * Adopted children outlive this process as they would otherwise: PID 1 has them then.
 *
 * The event loop waits for its own children by pidfd and at once: in each turn it takes up all that are ready. So what has ended and is
 * still there when the loop has turned is nobody's: it is looked at twice, and children that somebody waits for keep their exit codes.
 */
export class AdoptedChildren implements Disposable {
  readonly #c = dlopen("libc.so.6", {
    prctl: { args: [T.i32, T.u64, T.u64, T.u64, T.u64], returns: T.i32 },
    waitid: { args: [T.i32, T.u32, T.ptr, T.i32], returns: T.i32 },
  }).symbols;
  readonly #siginfo = new Int32Array(SIGINFO_WORDS);
  readonly #notice = () => this.#arm();
  #seen: readonly number[] = [];
  #timer: Timer | undefined;

  constructor() {
    this.#adopt(true);
    process.on("SIGCHLD", this.#notice);
    this.#arm();
  }

  [Symbol.dispose](): void {
    process.off("SIGCHLD", this.#notice);
    clearTimeout(this.#timer);
    this.#adopt(false);
  }

  #adopt(on: boolean): void {
    if (this.#c.prctl(PR_SET_CHILD_SUBREAPER, on ? 1 : 0, 0, 0, 0) < 0)
      throw new SystemError(errno(), "prctl");
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, LOOK_MS).unref();
  }

  #look(): void {
    const taken = this.#seen.filter((pid) => this.#ended(P_PID, pid, 0) !== undefined);
    const ended = this.#ended(P_ALL, 0, WNOWAIT);
    if (ended === undefined) {
      this.#seen = [];
      return;
    }
    // One is most often the only one, and a daemon may have thousands of children that live.
    this.#seen = taken.length === 0 ? [ended] : this.#allEnded(ended);
    this.#arm();
  }

  /** The children that have ended, by the kernel's list; `first` alone where it was built without CONFIG_PROC_CHILDREN. */
  #allEnded(first: number): readonly number[] {
    const found: number[] = [];
    for (const pid of childrenOfThread() ?? [first]) {
      if (this.#ended(P_PID, pid, WNOWAIT) === undefined) continue;
      found.push(pid);
      if (found.length === AT_ONCE) break;
    }
    return found;
  }

  /** The pid of a child that has ended; it stays so with WNOWAIT, else it is gone. */
  #ended(type: number, id: number, flags: number): number | undefined {
    this.#siginfo[SI_PID] = 0;
    if (this.#c.waitid(type, id, this.#siginfo, WEXITED | WNOHANG | flags) < 0) {
      const code = errno();
      if (code === ECHILD) return undefined;
      throw new SystemError(code, "waitid");
    }
    return this.#siginfo[SI_PID] || undefined;
  }
}

/** All adopted ones are this thread's, too, as long as it lives: the kernel gives them to the first of a process. */
function childrenOfThread(): readonly number[] | undefined {
  try {
    return readFileSync("/proc/thread-self/children", "latin1").trim().split(" ").map(Number);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
