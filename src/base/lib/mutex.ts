/** Serialises async sections. `using`-able: `await using _ = await mutex.lock()`. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;

  get idle(): boolean {
    return this.#waiting === 0;
  }

  async lock(): Promise<Disposable> {
    const before = this.#tail;
    let release: () => void = () => undefined;
    this.#tail = new Promise((resolve) => {
      release = resolve;
    });
    this.#waiting++;
    await before;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#waiting--;
        release();
      },
    };
  }

  async run<T>(section: () => Promise<T>): Promise<T> {
    using _held = await this.lock();
    return await section();
  }
}

/** One mutex a key, made on demand and forgotten when idle: locks per container, per image, per blob. */
export class KeyedMutex {
  readonly #locks = new Map<string, Mutex>();

  /** For a section that is no single function; disposing what it returns ends it. */
  async lock(key: string): Promise<Disposable> {
    let mutex = this.#locks.get(key);
    if (!mutex) {
      mutex = new Mutex();
      this.#locks.set(key, mutex);
    }
    const held = mutex;
    const lock = await held.lock();
    return {
      [Symbol.dispose]: () => {
        lock[Symbol.dispose]();
        // Another section may have found this mutex idle and put a new one in its place: that one stays.
        if (held.idle && this.#locks.get(key) === held) this.#locks.delete(key);
      },
    };
  }

  async run<T>(key: string, section: () => Promise<T>): Promise<T> {
    using _held = await this.lock(key);
    return await section();
  }
}
