import { abortable } from "./abort.ts";

/** Lets at most `limit` sections run at once; the others wait in the order they came. */
export class Semaphore {
  #free: number;
  readonly #waiting: ((permit: Disposable) => void)[] = [];
  constructor(limit: number) {
    this.#free = Math.max(1, limit);
  }

  /** True when `acquire` would not wait. */
  get available(): boolean {
    return this.#free > 0;
  }

  /** Waits for a permit; disposing it lets the next one in. Rejects with the signal's reason when aborted. */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return this.#permit();
    }
    const turn = new Promise<Disposable>((resolve) => {
      this.#waiting.push(resolve);
    });
    // Who gave up waiting hands its turn on.
    return await abortable(turn, signal, (permit) => permit[Symbol.dispose]());
  }

  #permit(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next(this.#permit());
        else this.#free++;
      },
    };
  }
}
