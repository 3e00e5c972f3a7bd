import { closeSync, constants, openSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { isPipeFull } from "../../../../base/sys/pipe.ts";

const LOOK_MS = 250;
/** Linux's numbers of write and writev. */
const writes: ReadonlySet<number> = new Set(process.arch === "arm64" ? [64, 66] : [1, 20]);
/** Far more than runtimes and their wrappers have. */
const maxProcesses = 64;

/** How much of the end of what was said is told. */
const tailBytes = 4096;

/**
 * conmon reads what a runtime prints only after the runtime has ended, and of that the first 8 KiB; one that says more than a pipe holds (64
 * KiB, a wrapper with debugging on) would wait for it until the time for the start is over. As long as this is not disposed, what stops such a
 * writer is read and dropped, a pipe's worth at a time.
 */
export class RuntimeOutput implements Disposable {
  readonly #directory: string;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Our own ends of the pipes that were full, by their names. */
  readonly #pipes = new Map<string, number>();
  readonly #buffer = Buffer.alloc(64 * 1024);

  /** `directory`: the monitor's. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** The end of what a runtime that failed said and nobody has read; "" unless it had been stopped by a full pipe. */
  lastWords(): string {
    return [...this.#pipes.values()]
      .map((pipe) => this.#buffer.toString("utf8", 0, read(pipe, this.#buffer)).slice(-tailBytes))
      .join("");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const pipe of this.#pipes.values()) closeSync(pipe);
    this.#pipes.clear();
  }

  #look(): void {
    const text = unlessGone(() => readFileSync(join(this.#directory, "monitor.pid"), "utf8")) ?? "";
    for (const pid of Number(text) > 0 ? below(Number(text)) : []) {
      const waits = unlessGone(() => outputItWaitsFor(pid));
      if (waits === undefined) continue;
      const { path, name } = waits;
      const known = this.#pipes.get(name);
      const pipe = known ?? unlessGone(() => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
      if (pipe === undefined) continue;
      // A writer that was stopped, frozen or traced at the end of its write stands in it as well, and what it wrote is conmon's.
      if (!isPipeFull(pipe)) {
        if (known === undefined) closeSync(pipe);
        continue;
      }
      this.#pipes.set(name, pipe);
      read(pipe, this.#buffer);
    }
  }
}

/** As much as is there and fits. */
function read(pipe: number, buffer: Buffer): number {
  return unlessGone(() => readSync(pipe, buffer)) ?? 0;
}

/** All descendants of a process. */
function below(pid: number): readonly number[] {
  const found = [pid];
  for (const parent of found) {
    if (found.length > maxProcesses) break;
    const text = unlessGone(() => readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8")) ?? "";
    found.push(...text.split(" ").filter(Boolean).map(Number));
  }
  return found.slice(1);
}

/**
 * Standard output or error of a process, when that is a pipe and a write to it is what the process is doing (proc(5), "syscall"). Only in our own
 * mounts: what runs in a container says there what its user is to read.
 */
function outputItWaitsFor(pid: number): { readonly path: string; readonly name: string } | undefined {
  if (readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync("/proc/self/ns/mnt")) return undefined;
  const [call = "", first = ""] = readFileSync(`/proc/${pid}/syscall`, "utf8").split(" ");
  const fd = Number(first);
  if (!writes.has(Number(call)) || (fd !== 1 && fd !== 2)) return undefined;
  const path = `/proc/${pid}/fd/${fd}`;
  const name = readlinkSync(path);
  return name.startsWith("pipe:") ? { path, name } : undefined;
}

/** What a look at another process gives; undefined where the system refuses it, mostly because the process has ended. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
