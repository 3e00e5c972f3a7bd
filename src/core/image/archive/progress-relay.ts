import { reportsOf } from "../../../base/lib/reports.ts";
import { Signal } from "../../../base/lib/signal.ts";

/** Turns callbacks into an iteration that lasts as long as a promise. Only the newest value waits: progress may be skipped. */
export class ProgressRelay<T> {
  #latest: T | undefined;
  readonly #told = new Signal();

  put(value: T): void {
    this.#latest = value;
    this.#told.notify();
  }

  /** Yields what was put until `work` has settled; its failure is thrown after that. */
  until(work: Promise<unknown>): AsyncGenerator<T, void, undefined> {
    return reportsOf(work, this.#told, () => {
      const value = this.#latest;
      this.#latest = undefined;
      return value === undefined ? [] : [value];
    });
  }
}
