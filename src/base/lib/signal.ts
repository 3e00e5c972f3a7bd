/**
 * A wake-up that many may wait for: `notify` ends every wait that has begun. A waiter takes `version` before it looks at the state it
 * waits on, so that a change between the look and the wait is not missed.
 */
export class Signal {
  #version = 0;
  readonly #waiters = new Set<() => void>();

  get version(): number {
    return this.#version;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  notify(): void {
    this.#version++;
    for (const wake of [...this.#waiters]) wake();
  }

  /** Resolves once `version` has passed `seen`, or when `abort` fires. */
  wait(seen: number, abort?: AbortSignal): Promise<void> {
    if (this.#version !== seen || abort?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake);
        abort?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiters.add(wake);
      abort?.addEventListener("abort", wake, { once: true });
    });
  }
}
