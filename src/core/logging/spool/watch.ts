import { type FSWatcher, watch } from "node:fs";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";

export interface SpoolWatchDeps {
  readonly directory: string;
  /** Size at which `check` has something to do. */
  readonly limit: number;
  readonly size: () => number;
  readonly check: () => Promise<void>;
  readonly changed: () => void;
  readonly log: Log;
}

const fastestMs = 50;
const slowestMs = 1000;
/** Quiet looks before it goes back to sleep. */
const quietLooks = 3;
/**
 * Followers are told of a write a second time after this: Bun's fs.watch leaves a change out that comes within about a millisecond of another
 * one of the same file, which would keep the last line of a burst from them.
 */
const againMs = 10;

/**
 * Notices writes to a spool at next to no cost. While nothing is written, one inotify watch waits and no timer runs. A write wakes it; from
 * then on it looks at the size now and then, sooner the nearer the limit is at the rate seen, until all is quiet again. inotify stays
 * on only while somebody follows.
 */
export class SpoolWatch {
  readonly #deps: SpoolWatchDeps;
  #watcher: FSWatcher | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** A write came after `#again` was set: its own neighbour may be left out as well. */
  #oneMore = false;
  #followers = 0;
  #lastSize: number;
  #quiet = 0;
  #closed = false;

  constructor(deps: SpoolWatchDeps) {
    this.#deps = deps;
    this.#lastSize = deps.size();
    this.#sleep();
    if (this.#lastSize >= deps.limit) this.#look(fastestMs);
  }

  /** While held, every write notifies. */
  follow(): Disposable {
    this.#followers++;
    this.#listen();
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#followers--;
        if (this.#followers === 0 && this.#timer !== undefined) this.#deaf();
      },
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#deaf();
  }

  #listen(): void {
    if (this.#watcher || this.#closed) return;
    try {
      this.#watcher = watch(this.#deps.directory, { persistent: false }, (_event, name) => {
        if (name === null || name.startsWith("ctr.log")) this.#written();
      });
      this.#watcher.on("error", () => {
        this.#deaf();
        if (this.#timer === undefined && !this.#closed) this.#look(slowestMs);
      });
    } catch (error) {
      // Out of inotify watches: fall back to looking.
      this.#deps.log.warn("cannot watch a log directory", { error: messageOf(error) });
      if (this.#timer === undefined) this.#look(slowestMs);
    }
  }

  #deaf(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #written(): void {
    if (this.#followers > 0) {
      this.#deps.changed();
      this.#tellAgain();
    } else this.#deaf();
    if (this.#timer === undefined && !this.#closed) this.#look(fastestMs);
  }

  #tellAgain(): void {
    if (this.#closed) return;
    this.#oneMore = this.#again !== undefined;
    this.#again ??= setTimeout(() => {
      this.#again = undefined;
      this.#deps.changed();
      if (this.#oneMore) this.#tellAgain();
    }, againMs).unref();
  }

  #look(inMs: number): void {
    this.#quiet = 0;
    this.#after(inMs);
  }

  #after(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#tick(ms).catch((error: unknown) => {
        // A disk that fails a look may answer the next one; without another look the log would never be rotated again.
        this.#deps.log.warn("looking at a log", { directory: this.#deps.directory, error: messageOf(error) });
        if (!this.#closed) this.#look(slowestMs);
      });
    }, ms).unref();
  }

  async #tick(waited: number): Promise<void> {
    const size = this.#deps.size();
    const grown = size - this.#lastSize;
    this.#lastSize = size;
    // For those whom no event told: with no watch, because there are no more of them, a look is all there is.
    if (grown !== 0 && this.#followers > 0) this.#deps.changed();
    if (size >= this.#deps.limit || grown < 0) {
      await this.#deps.check();
      this.#lastSize = this.#deps.size();
    }
    if (this.#closed) return;
    this.#quiet = grown === 0 ? this.#quiet + 1 : 0;
    if (this.#quiet >= quietLooks && this.#lastSize < this.#deps.limit) {
      this.#timer = undefined;
      return this.#sleep();
    }
    const left = Math.max(this.#deps.limit - this.#lastSize, 0);
    // A file that is smaller than it was is a new one, whose rate nobody knows yet.
    const quiet = grown < 0 ? fastestMs : slowestMs;
    const untilLimit = grown > 0 ? (left / grown) * waited * 0.5 : quiet;
    const next = Math.min(Math.max(untilLimit, fastestMs), slowestMs);
    this.#after(next);
  }

  /** Waits for the next write; one that came before the watch stood is seen by its size. */
  #sleep(): void {
    if (this.#deps.limit === Number.POSITIVE_INFINITY && this.#followers === 0) return;
    this.#listen();
    if (this.#watcher && this.#deps.size() !== this.#lastSize && this.#timer === undefined)
      this.#look(fastestMs);
  }
}
