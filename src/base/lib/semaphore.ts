import { abortable } from "./abort.ts";

/**
 * Lets at most `limit` sections run at once; the others wait in the order they came. A limit that is a function is asked each time:
 * it may change, and a larger one is seen when the next section begins or ends.
 */
export class Semaphore {
  #held = 0;
  readonly #limit: () => number;
  readonly #waiting: ((permit: Disposable) => void)[] = [];
  constructor(limit: number | (() => number)) {
    this.#limit = () => Math.max(1, typeof limit === "number" ? limit : limit());
  }

  /** True when `acquire` would not wait. */
  get available(): boolean {
    return this.#held < this.#limit();
  }

  /** Waits for a permit; disposing it lets the next one in. Rejects with the signal's reason when aborted. */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.available) return this.#permit();
    const turn = new Promise<Disposable>((resolve) => {
      this.#waiting.push(resolve);
    });
    // Who gave up waiting hands its turn on.
    return await abortable(turn, signal, (permit) => permit[Symbol.dispose]());
  }

  #permit(): Disposable {
    this.#held++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#held--;
        while (this.#waiting.length > 0 && this.available) this.#waiting.shift()?.(this.#permit());
      },
    };
  }
}
