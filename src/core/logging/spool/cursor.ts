import type { Segment } from "./segment.ts";
import type { Spool } from "./spool.ts";

/** A place in a spool: a generation and an offset in its plain bytes, at the beginning of a line. */
export interface Position {
  readonly seq: number;
  readonly offset: number;
}

/** Large enough that the cost of a read does not count, small enough that many readers at once cost little memory. */
const chunkSize = 256 << 10;

/** Reads whole lines forward through the generations, as far as they go now; asks no one to wait. */
export class SpoolCursor implements AsyncDisposable {
  readonly #spool: Spool;
  readonly #hold: Disposable;
  #seq: number;
  #offset: number;
  #segment: Segment | undefined;
  /** One for the cursor's life: a large log would otherwise be its own size in garbage. */
  #buffer: Buffer | undefined;

  constructor(spool: Spool, start: Position) {
    this.#spool = spool;
    this.#seq = start.seq;
    this.#offset = start.offset;
    this.#hold = spool.hold(() => this.#seq);
  }

  get position(): Position {
    return { seq: this.#seq, offset: this.#offset };
  }

  /**
   * The next lines, ending in a newline; undefined when all that is written so far (or lies before `end`) was read. They are
   * good until the next call.
   */
  async next(end?: Position): Promise<Buffer | undefined> {
    for (;;) {
      if (end && (this.#seq > end.seq || (this.#seq === end.seq && this.#offset >= end.offset)))
        return undefined;
      // Asked before reading: what is final now was complete before the read.
      const final = this.#spool.isFinal(this.#seq);
      this.#segment ??= await this.#spool.open(this.#seq);
      if (!this.#segment) {
        // Removed while we were slow: go on with the oldest that is left.
        if (!final) return undefined;
        await this.#advance();
        continue;
      }
      const bytes = await this.#segment.read(this.#offset, this.#room(end));
      const lines = bytes.lastIndexOf(10) + 1;
      if (lines > 0) {
        this.#offset += lines;
        return bytes.subarray(0, lines);
      }
      if (bytes.length >= chunkSize)
        this.#offset += bytes.length; // no spool line is that long: damage
      else if (final) await this.#advance();
      else return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hold[Symbol.dispose]();
    await this.#close();
  }

  async #close(): Promise<void> {
    await this.#segment?.[Symbol.asyncDispose]();
    this.#segment = undefined;
  }

  #room(end: Position | undefined): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(chunkSize);
    if (!end || end.seq !== this.#seq) return this.#buffer;
    return this.#buffer.subarray(0, Math.min(chunkSize, end.offset - this.#offset));
  }

  async #advance(): Promise<void> {
    await this.#close();
    this.#seq = this.#spool.after(this.#seq);
    this.#offset = 0;
  }
}

/** Where the spool ends now: reading up to here ends although the container goes on writing. */
export async function endOf(spool: Spool): Promise<Position> {
  await spool.settled();
  for (;;) {
    const seq = spool.currentSeq;
    const segment = await spool.open(seq);
    const offset = (await segment?.size()) ?? 0;
    await segment?.[Symbol.asyncDispose]();
    if (seq === spool.currentSeq || segment) return { seq, offset };
  }
}
