/** Turns callbacks into an iteration that lasts as long as a promise. Only the newest value waits: progress may be skipped. */
export class ProgressRelay<T> {
  #latest: T | undefined;
  #wake: (() => void) | undefined;

  put(value: T): void {
    this.#latest = value;
    this.#wake?.();
  }

  /** Yields what was put until `work` has settled; its failure is for who awaits it. */
  async *until(work: Promise<unknown>): AsyncGenerator<T, void, undefined> {
    let settled = false;
    const end = () => {
      settled = true;
      this.#wake?.();
    };
    work.then(end, end);
    for (;;) {
      const value = this.#latest;
      if (value !== undefined) {
        this.#latest = undefined;
        yield value;
      } else if (settled) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}
