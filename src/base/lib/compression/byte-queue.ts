/**
 * Bytes of a stream held until a synchronous decoder has used them: `fill` waits for enough of them for the next step, then
 * the decoder reads `data` from `at` on without awaiting.
 */
export class ByteQueue {
  data: Uint8Array = new Uint8Array(0);
  at = 0;
  readonly #source: AsyncIterator<Uint8Array>;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  get length(): number {
    return this.data.length - this.at;
  }

  /** Waits until `count` bytes are there or the stream has ended; returns how many there are. */
  async fill(count: number): Promise<number> {
    if (this.length >= count || this.#ended) return this.length;
    const parts = [this.data.subarray(this.at)];
    for (let have = this.length; have < count; ) {
      const next = await this.#source.next();
      if (next.done) {
        this.#ended = true;
        break;
      }
      parts.push(next.value);
      have += next.value.length;
    }
    this.data = Buffer.concat(parts);
    this.at = 0;
    return this.length;
  }

  /** The next byte; RangeError past the end. */
  byte(): number {
    const value = this.data[this.at++];
    if (value === undefined) throw new RangeError("unexpected end of file");
    return value;
  }

  take(count: number): Uint8Array {
    if (count > this.length) throw new RangeError("unexpected end of file");
    const bytes = this.data.subarray(this.at, this.at + count);
    this.at += count;
    return bytes;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
