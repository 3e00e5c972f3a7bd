import { Code, RpcError } from "./status.ts";

/** Bytes before each message: a flag (compressed or not) and the length, big-endian. */
export const prefixLength = 5;

/** Room that is made at a time; a larger message gets a buffer of its own. */
const roomBytes = 64 * 1024;

/** Messages with their prefixes, gathered to leave together. What `take` gave is not written to again. */
export class FrameWriter {
  /** Where the message goes for which `begin` made room. */
  buffer: Buffer = Buffer.alloc(0);
  #from = 0;
  #at = 0;
  #full: Buffer[] = [];
  #fullBytes = 0;

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#fullBytes + this.#at - this.#from;
  }

  /** Writes the prefix of a message of so many bytes; the caller writes just these into `buffer`, from the place that it gives. */
  begin(length: number): number {
    const bytes = prefixLength + length;
    if (this.#at + bytes > this.buffer.length) {
      this.#close();
      this.buffer = Buffer.allocUnsafeSlow(Math.max(roomBytes, bytes));
      this.#from = 0;
      this.#at = 0;
    }
    const at = this.#at;
    this.buffer[at] = 0;
    this.buffer.writeUInt32BE(length, at + 1);
    this.#at += bytes;
    return at + prefixLength;
  }

  append(message: Uint8Array): void {
    const at = this.begin(message.length);
    this.buffer.set(message, at);
  }

  take(): Uint8Array {
    this.#close();
    const [only] = this.#full;
    const bytes = this.#full.length === 1 && only ? only : Buffer.concat(this.#full);
    this.#full = [];
    this.#fullBytes = 0;
    return bytes;
  }

  #close(): void {
    if (this.#at === this.#from) return;
    this.#full.push(this.buffer.subarray(this.#from, this.#at));
    this.#fullBytes += this.#at - this.#from;
    this.#from = this.#at;
  }
}

/** A message's buffer begins with at most this much and grows with what comes, not with what the prefix claims. */
const firstPiece = 16 * 1024;

/** Cuts a stream of HTTP/2 data into messages. Holds at most one incomplete message, of `limit` bytes at most. */
export class FrameDecoder {
  readonly #limit: number;
  readonly #header = Buffer.alloc(prefixLength);
  #headerBytes = 0;
  #body: Buffer = Buffer.alloc(0);
  #length = 0;
  #filled = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Within a message: the stream must not end here. */
  get incomplete(): boolean {
    return this.#headerBytes > 0;
  }

  /** Calls `found` for each message that is complete; one that came in a single piece is a part of `chunk`. */
  push(chunk: Uint8Array, found: (message: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < prefixLength) {
        const take = Math.min(prefixLength - this.#headerBytes, chunk.length - at);
        for (let i = 0; i < take; i++) this.#header[this.#headerBytes + i] = chunk[at + i] ?? 0;
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < prefixLength) return;
        this.#begin();
        if (this.#length <= chunk.length - at) {
          this.#headerBytes = 0;
          found(chunk.subarray(at, at + this.#length));
          at += this.#length;
          continue;
        }
        this.#body = Buffer.allocUnsafe(Math.min(this.#length, firstPiece));
      }
      const take = Math.min(this.#length - this.#filled, chunk.length - at);
      this.#room(this.#filled + take);
      this.#body.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === this.#length) {
        this.#headerBytes = 0;
        found(this.#body.subarray(0, this.#length));
      }
    }
  }

  #begin(): void {
    if (this.#header[0] !== 0)
      throw new RpcError(Code.unimplemented, "grpc: compressed messages are not accepted");
    this.#length = this.#header.readUInt32BE(1);
    this.#filled = 0;
    if (this.#length > this.#limit) {
      throw new RpcError(
        Code.resourceExhausted,
        `grpc: received message larger than max (${this.#length} vs. ${this.#limit})`,
      );
    }
  }

  #room(bytes: number): void {
    if (bytes <= this.#body.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#length, Math.max(bytes, this.#body.length * 2)));
    larger.set(this.#body.subarray(0, this.#filled));
    this.#body = larger;
  }
}
