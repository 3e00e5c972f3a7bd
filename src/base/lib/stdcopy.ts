import { TugError } from "./errors.ts";

/**
 * Docker's multiplexed stream: each frame is an eight-byte header (stream, three zeros, payload length big endian) and its
 * payload (Engine API, "Stream format" of ContainerAttach).
 */
export type StdStream = "stdin" | "stdout" | "stderr" | "systemerr";

const names: readonly StdStream[] = ["stdin", "stdout", "stderr", "systemerr"];
const headerSize = 8;

/** The header of a frame with `length` bytes. */
export function stdcopyHeader(stream: StdStream, length: number): Uint8Array {
  const header = new Uint8Array(headerSize);
  header[0] = names.indexOf(stream);
  header[4] = length >>> 24;
  header[5] = length >>> 16;
  header[6] = length >>> 8;
  header[7] = length;
  return header;
}

/** Takes a multiplexed stream apart, however it was cut; payload is handed on as it comes, without waiting for whole frames. */
export class StdcopyDecoder {
  readonly #header = new Uint8Array(headerSize);
  #have = 0;
  #left = 0;
  #stream: StdStream = "stdout";

  /** Calls `emit` for each piece of payload in `bytes`. */
  feed(bytes: Uint8Array, emit: (stream: StdStream, payload: Uint8Array) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, bytes.length - at);
        emit(this.#stream, bytes.subarray(at, at + take));
        at += take;
        this.#left -= take;
        continue;
      }
      const take = Math.min(headerSize - this.#have, bytes.length - at);
      this.#header.set(bytes.subarray(at, at + take), this.#have);
      at += take;
      this.#have += take;
      if (this.#have < headerSize) return;
      this.#have = 0;
      const stream = names[this.#header[0] ?? 255];
      if (!stream) {
        throw new TugError("data-loss", `Unrecognized input header: ${this.#header[0]}`);
      }
      this.#stream = stream;
      this.#left = new DataView(this.#header.buffer).getUint32(4);
    }
  }

  /** True between frames: a stream that ends elsewhere was cut. */
  get atBoundary(): boolean {
    return this.#have === 0 && this.#left === 0;
  }
}
