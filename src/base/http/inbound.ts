/** Above this many waiting bytes the socket is paused until the reader has caught up. */
const highWater = 1024 * 1024;

/**
 * Bytes that came in and wait for their reader, with backpressure: `onFull` and `onRoom` pause and resume the socket.
 * Read it either as a stream or with `next`, not both.
 */
export class Inbound {
  readonly #chunks: Uint8Array[] = [];
  readonly #flow: { onFull(): void; onRoom(): void };
  #size = 0;
  #full = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #waiter: (() => void) | undefined;
  #discarding = false;

  constructor(flow: { onFull(): void; onRoom(): void }) {
    this.#flow = flow;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(bytes: Uint8Array): void {
    if (this.#discarding || this.#ended || bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    if (!this.#full && this.#size >= highWater) {
      this.#full = true;
      this.#flow.onFull();
    }
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Ends with an error, which the reader gets after the bytes that came before. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#failure = { error };
    this.end();
  }

  /** Nobody will read: drop what is here and what comes. */
  discard(): void {
    this.#discarding = true;
    this.#chunks.length = 0;
    this.#taken(this.#size);
    this.#wake();
  }

  /** The next bytes; undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        this.#taken(chunk.length);
        return chunk;
      }
      if (this.#failure) throw this.#failure.error;
      if (this.#ended || this.#discarding) return undefined;
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await this.next();
          if (chunk) controller.enqueue(chunk);
          else controller.close();
        },
        cancel: () => this.discard(),
      },
      { highWaterMark: 0 },
    );
  }

  #taken(bytes: number): void {
    this.#size -= bytes;
    if (this.#full && this.#size < highWater / 2) {
      this.#full = false;
      this.#flow.onRoom();
    }
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }
}
