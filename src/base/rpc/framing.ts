import { Code, RpcError } from "./status.ts";

/** Bytes before each message: a flag (compressed or not) and the length, big-endian. */
export const prefixLength = 5;

/** The prefix and the message, ready for the wire. */
export function frame(message: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(prefixLength + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, prefixLength);
  return bytes;
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

  /** Calls `found` for each message that is complete; its bytes are its own. */
  push(chunk: Uint8Array, found: (message: Uint8Array) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < prefixLength) {
        const take = Math.min(prefixLength - this.#headerBytes, chunk.length - at);
        this.#header.set(chunk.subarray(at, at + take), this.#headerBytes);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < prefixLength) return;
        this.#begin();
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
    this.#body = Buffer.allocUnsafe(Math.min(this.#length, firstPiece));
  }

  #room(bytes: number): void {
    if (bytes <= this.#body.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#length, Math.max(bytes, this.#body.length * 2)));
    larger.set(this.#body.subarray(0, this.#filled));
    this.#body = larger;
  }
}
