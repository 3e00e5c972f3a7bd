import type { ByteStream } from "../bytes.ts";

/** Two ends of one connection in memory, for tests: what one writes the other reads, with at most `window` bytes in between. */
export function joined(window = 256 * 1024): readonly [ByteStream, ByteStream] {
  const [there, back] = [new Direction(window), new Direction(window)];
  const end = (from: Direction, to: Direction): ByteStream => ({
    next: () => from.take(),
    write: (bytes) => to.put(bytes),
    end: () => to.end(),
    close: () => {
      from.end();
      to.end();
    },
  });
  return [end(back, there), end(there, back)];
}

class Direction {
  readonly #window: number;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #reader: ((bytes: Uint8Array | undefined) => void) | undefined;
  #writers: (() => void)[] = [];

  constructor(window: number) {
    this.#window = window;
  }

  async take(): Promise<Uint8Array | undefined> {
    const bytes = this.#queue.shift();
    if (bytes) {
      this.#queued -= bytes.length;
      if (this.#queued < this.#window) for (const resume of this.#writers.splice(0)) resume();
      return bytes;
    }
    if (this.#ended) return undefined;
    return await new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  async put(bytes: Uint8Array): Promise<void> {
    if (this.#ended) throw new Error("closed");
    const copy = Uint8Array.from(bytes);
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader) return reader(copy);
    this.#queue.push(copy);
    this.#queued += copy.length;
    if (this.#queued >= this.#window) await new Promise<void>((resolve) => this.#writers.push(resolve));
  }

  end(): void {
    this.#ended = true;
    this.#reader?.(undefined);
    for (const resume of this.#writers.splice(0)) resume();
  }
}
