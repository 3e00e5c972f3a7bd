import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import type { Clock } from "../../../base/lib/clock.ts";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import { Signal } from "../../../base/lib/signal.ts";
import { errnoOf, storageError } from "../../../base/lib/storage-error.ts";
import type { LogContext } from "../logging.ts";
import { type Generation, Generations } from "./generations.ts";
import { compressFile, openCompressed, openPlain, type Segment } from "./segment.ts";
import { SpoolWatch } from "./watch.ts";

export interface SpoolLimits {
  /** Bytes at which the current file is rotated; Infinity: never. */
  readonly maxSize: number;
  /** Files in all, the current one included; at least 1. */
  readonly maxFiles: number;
  readonly compress: boolean;
}

export interface SpoolDeps {
  readonly directory: string;
  readonly limits: SpoolLimits;
  /** Asks conmon to open its log file anew. */
  readonly reopen: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** One compression at a time for the whole daemon. */
  readonly compression: Mutex;
}

/** Opens a container's spool, making its directory and file when they are missing; a full disk is told as one. */
export function openSpool(
  container: Pick<LogContext, "directory" | "reopen">,
  deps: Omit<SpoolDeps, "directory" | "reopen">,
): Spool {
  const { directory } = container;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return new Spool({ ...deps, directory, reopen: () => container.reopen() });
  } catch (error) {
    throw storageError(error, "open", directory);
  }
}

/**
 * Times the allowed number of files that a slow reader, a follower or a log service, may keep from being removed. Old files are
 * compressed, so this costs little; a terminal that was stopped must not fill the disk.
 */
const slack = 3;

/**
 * How long a complete file rests before it is compressed: one that is removed sooner, because its writer fills the next ones as fast, was
 * not worth the work, which such a writer would pay with a fifth of its speed.
 */
const restMs = 1000;

/** How long conmon may take to act on a request to reopen. It syncs the old file first, which a slow disk can draw out. */
const reopenTimeoutMs = 5000;

/**
 * The log files of one container: rotation without losing a line, and access to the generations. Rotation renames the file, lets conmon
 * (which still writes to the renamed one) open a new one, and only then treats the old one as complete.
 */
export class Spool implements AsyncDisposable {
  readonly #deps: SpoolDeps;
  readonly #generations: Generations;
  readonly #turn = new Mutex();
  readonly #watch: SpoolWatch;
  /** Renamed, not reopened yet: still the current generation. */
  #rotating: Generation | undefined;
  #ends = 0;
  /** conmon's last word has been written; until the next start nobody opens files but us. */
  #writerGone = false;
  #removed = false;
  readonly #readers = new Set<() => number>();
  /** What will compress files that rest. */
  readonly #resting = new Set<ReturnType<typeof setTimeout>>();
  /** Bytes may have been added, a generation may have ended, or the container stopped. */
  readonly activity = new Signal();

  constructor(deps: SpoolDeps) {
    this.#deps = deps;
    this.#generations = new Generations(deps.directory);
    const interrupted = this.#generations.interrupted();
    if (interrupted) {
      this.#generations.resume(interrupted);
      this.#rotating = interrupted;
      queueMicrotask(() => void this.check());
    } else if (!existsSync(this.#generations.currentPath)) {
      closeSync(openSync(this.#generations.currentPath, "a", 0o640));
      this.#generations.adoptReplaced();
    }
    this.#watch = new SpoolWatch({
      directory: deps.directory,
      limit: deps.limits.maxSize,
      size: () => this.#currentSize(),
      check: () => this.check(),
      changed: () => this.activity.notify(),
      log: deps.log,
    });
  }

  get path(): string {
    return this.#generations.currentPath;
  }

  /** How often the container has stopped since this was opened, with all that it wrote in its place; a follower ends when it changes. */
  get ends(): number {
    return this.#ends;
  }

  get removed(): boolean {
    return this.#removed;
  }

  get firstSeq(): number {
    return this.#generations.rotated[0]?.seq ?? this.#generations.currentSeq;
  }

  get currentSeq(): number {
    return this.#generations.currentSeq;
  }

  /** Nothing will be added to that generation any more. */
  isFinal(seq: number): boolean {
    return seq < this.#generations.currentSeq;
  }

  /** The generation before `seq`, or undefined. */
  before(seq: number): number | undefined {
    return this.#generations.rotated.findLast((generation) => generation.seq < seq)?.seq;
  }

  /** The generation after `seq` that still exists. */
  after(seq: number): number {
    return this.#generations.from(seq + 1)?.seq ?? this.#generations.currentSeq;
  }

  /** When a generation was last written to, in milliseconds; undefined when it is gone. */
  modified(seq: number): number | undefined {
    const path = this.#pathOf(seq)?.path;
    return path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  }

  /** Opens a generation; undefined when it has been removed meanwhile. */
  async open(seq: number): Promise<Segment | undefined> {
    // The name may change between look-up and open (rotated, compressed): look again.
    for (let attempt = 0; attempt < 5; attempt++) {
      const file = this.#pathOf(seq);
      if (!file) return undefined;
      try {
        const segment = await (file.compressed ? openCompressed(file.path) : openPlain(file.path));
        if (file.compressed || this.#pathOf(seq)?.path === file.path) return segment;
        await segment[Symbol.asyncDispose]();
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
      }
    }
    return undefined;
  }

  /** A reader at generation `seq()`: what it has still to read outlives the rotation for a while. */
  hold(seq: () => number): Disposable {
    this.#readers.add(seq);
    return {
      [Symbol.dispose]: () => {
        if (this.#readers.delete(seq) && this.#readers.size === 0 && !this.#removed) this.#prune();
      },
    };
  }

  /** Reports followers to the watch, which then tells of every write. */
  follow(): Disposable {
    return this.#watch.follow();
  }

  /**
   * Adopts what conmon did by itself, and rotates when the current file has reached its limit. When the container has stopped, the new
   * file is made here instead of by conmon.
   */
  async check(): Promise<void> {
    if (this.#removed) return;
    await this.#turn.run(async () => {
      if (this.#removed) return;
      try {
        if (this.#rotating) await this.#settleRotation();
        if (this.#generations.adoptReplaced()) this.#afterRotation();
        if (this.#currentSize() >= this.#deps.limits.maxSize) await this.#rotate();
      } catch (error) {
        this.#deps.log.warn("log rotation failed", {
          directory: this.#deps.directory,
          error: messageOf(error),
        });
      }
    });
  }

  /** The end of a rotation that is under way: meanwhile nobody can see what conmon writes to its new file. */
  async settled(): Promise<void> {
    if (this.#rotating) await this.#turn.run(async () => undefined);
  }

  /**
   * The container has stopped: nothing will be written until it starts again. Readers are told after the check: while a rotation is under
   * way, what was written last lies in a new file that none of them can see.
   */
  async stopped(): Promise<void> {
    this.#writerGone = true;
    await this.check();
    this.#writerGone = false;
    this.#ends++;
    this.activity.notify();
  }

  async remove(): Promise<void> {
    this.#removed = true;
    this.#compressNoMore();
    this.#watch.close();
    this.activity.notify();
    await this.#turn.run(async () => this.#generations.removeAll());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#compressNoMore();
    this.#watch.close();
    await this.#turn.run(async () => undefined);
  }

  #pathOf(seq: number): { readonly path: string; readonly compressed: boolean } | undefined {
    if (seq === this.#generations.currentSeq) {
      return this.#rotating ?? { path: this.#generations.currentPath, compressed: false };
    }
    const generation = this.#generations.from(seq);
    return generation?.seq === seq ? generation : undefined;
  }

  #currentSize(): number {
    const path = this.#rotating?.path ?? this.#generations.currentPath;
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  async #rotate(): Promise<void> {
    this.#rotating = this.#generations.begin();
    await this.#settleRotation();
  }

  /** Brings a rotation that has begun to its end: a new file, or the old name again. */
  async #settleRotation(): Promise<void> {
    const generation = this.#rotating;
    if (!generation) return;
    if (!this.#generations.reopened()) {
      if (this.#writerGone) closeSync(openSync(this.#generations.currentPath, "a", 0o640));
      else await this.#reopen();
    }
    if (this.#generations.reopened() || !this.#generations.undo(generation)) {
      this.#generations.settle(generation);
      this.#rotating = undefined;
      this.#afterRotation();
    } else {
      this.#rotating = undefined;
      this.#generations.adoptReplaced();
    }
  }

  async #reopen(): Promise<void> {
    try {
      await this.#deps.reopen();
    } catch (error) {
      this.#deps.log.debug("conmon does not reopen its log", { error: messageOf(error) });
      return;
    }
    const deadline = this.#deps.clock.monotonic() + BigInt(reopenTimeoutMs) * 1_000_000n;
    for (let pause = 1; !this.#generations.reopened() && this.#deps.clock.monotonic() < deadline; ) {
      if (this.#writerGone) return; // it has heard nothing of the request, and never will
      await this.#deps.clock.sleep(pause);
      pause = Math.min(pause * 2, 50);
    }
  }

  #afterRotation(): void {
    this.activity.notify();
    this.#prune();
    if (!this.#deps.limits.compress) return;
    const newest = this.#generations.rotated.at(-1);
    if (!newest) return;
    const timer = setTimeout(() => {
      this.#resting.delete(timer);
      for (const one of this.#generations.rotated)
        if (!one.compressed && one.seq <= newest.seq) void this.#compress(one);
    }, restMs).unref();
    this.#resting.add(timer);
  }

  #compressNoMore(): void {
    for (const timer of this.#resting) clearTimeout(timer);
    this.#resting.clear();
  }

  #prune(): void {
    const count = this.#deps.limits.maxFiles - 1;
    const needed = Math.min(...[...this.#readers].map((seq) => seq()));
    this.#generations.prune(count, needed, count + slack * this.#deps.limits.maxFiles);
  }

  async #compress(generation: Generation): Promise<void> {
    await this.#deps.compression.run(async () => {
      if (this.#removed || !this.#generations.rotated.includes(generation)) return;
      const temporary = `${generation.path}.zst.tmp`;
      try {
        await compressFile(generation.path, temporary);
        this.#generations.replaceByCompressed(generation, temporary);
      } catch (error) {
        // It stays plain (a full disk, or just pruned); the next rotation tries again.
        this.#deps.log.debug("log not compressed", { path: generation.path, error: messageOf(error) });
      }
    });
  }
}
