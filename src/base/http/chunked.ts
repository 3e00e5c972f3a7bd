import { TugError } from "../lib/errors.ts";

const bad = (why: string) => new TugError("invalid-argument", `malformed chunked encoding: ${why}`);
const maxLine = 4096;

/**
 * Decodes `Transfer-Encoding: chunked` (RFC 9112, section 7.1) incrementally. Chunk extensions and trailers are read and dropped.
 */
export class ChunkedDecoder {
  #state: "size" | "data" | "data-end" | "trailer" | "done" = "size";
  #left = 0;
  #line = "";

  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes bytes off the wire, emits payload; returns what lies behind the last chunk once it is `done`. */
  feed(bytes: Uint8Array, emit: (payload: Uint8Array) => void): Uint8Array | undefined {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const take = Math.min(this.#left, bytes.length - at);
        emit(at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take));
        at += take;
        this.#left -= take;
        if (this.#left === 0) this.#state = "data-end";
        continue;
      }
      const newline = bytes.indexOf(10, at);
      const end = newline < 0 ? bytes.length : newline;
      for (let i = at; i < end; i++) this.#line += String.fromCharCode(bytes[i] ?? 0);
      if (this.#line.length > maxLine) throw bad("line too long");
      at = end + 1;
      if (newline < 0) break;
      const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
      this.#line = "";
      this.#lineRead(line);
    }
    return this.#state === "done" ? bytes.subarray(at) : undefined;
  }

  #lineRead(line: string): void {
    switch (this.#state) {
      case "size": {
        const digits = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(line)?.[1];
        if (digits === undefined) throw bad("chunk size");
        this.#left = Number.parseInt(digits, 16);
        this.#state = this.#left === 0 ? "trailer" : "data";
        return;
      }
      case "data-end":
        if (line !== "") throw bad("missing line end after a chunk");
        this.#state = "size";
        return;
      case "trailer":
        if (line === "") this.#state = "done";
    }
  }
}
