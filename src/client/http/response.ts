import { TugError } from "../../base/lib/errors.ts";
import type { Connection } from "./connection.ts";

/** Status line and headers of a reply; header names in lower case. */
export interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

const maxHead = 256 * 1024;

/** Reads one reply head and leaves what follows in the connection. Interim 100 replies are skipped. */
export async function readHead(connection: Connection): Promise<Head> {
  for (;;) {
    const head = parseHead(await readHeadText(connection));
    if (head.status !== 100) return head;
  }
}

async function readHeadText(connection: Connection): Promise<string> {
  let buffer: Buffer = Buffer.alloc(0);
  for (;;) {
    const chunk = await connection.read();
    if (chunk === null) {
      throw new TugError(
        "unavailable",
        buffer.length === 0 ? noReply : "the daemon closed the connection within a reply",
      );
    }
    buffer =
      buffer.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([buffer, chunk]);
    const end = buffer.indexOf("\r\n\r\n");
    if (end >= 0) {
      connection.unread(buffer.subarray(end + 4));
      return buffer.toString("latin1", 0, end);
    }
    if (buffer.length > maxHead) throw new TugError("unavailable", "the daemon's reply head is too long");
  }
}

const noReply = "the daemon closed the connection without a reply";

function parseHead(text: string): Head {
  const lines = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(lines[0] ?? "");
  if (!status) throw new TugError("unavailable", "the peer does not speak HTTP");
  const headers: Record<string, string> = {};
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(status[1]), headers };
}

/** A reply body: pull chunks until null. `done` runs once, with true when the connection may be used again. */
export class Body {
  readonly #connection: Connection;
  readonly #done: (reusable: boolean) => void;
  readonly #mode: "length" | "chunked" | "close";
  /** Bytes left of the body ("length") or of the current chunk ("chunked"). */
  #left: number;
  #finished = false;
  #inChunk = false;
  readonly #reusable: boolean;

  constructor(connection: Connection, head: Head, empty: boolean, done: (reusable: boolean) => void) {
    this.#connection = connection;
    this.#done = done;
    this.#reusable = head.headers["connection"]?.toLowerCase() !== "close";
    const length = head.headers["content-length"];
    if (empty || head.status === 204 || head.status === 304) {
      this.#mode = "length";
      this.#left = 0;
    } else if (head.headers["transfer-encoding"]?.toLowerCase().includes("chunked")) {
      this.#mode = "chunked";
      this.#left = 0;
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length))
        throw new TugError("unavailable", "malformed length in the daemon's reply");
      this.#mode = "length";
      this.#left = Number(length);
    } else {
      this.#mode = "close";
      this.#left = Number.POSITIVE_INFINITY;
    }
    if (this.#mode === "length" && this.#left === 0) this.#finish(this.#reusable);
  }

  /** The next piece of the body; null at its end. */
  async next(): Promise<Uint8Array | null> {
    if (this.#finished) return null;
    if (this.#mode === "chunked" && this.#left === 0) {
      const size = await this.#chunkSize();
      if (size === 0) {
        await this.#trailer();
        this.#finish(this.#reusable);
        return null;
      }
      this.#left = size;
    }
    const chunk = await this.#connection.read();
    if (chunk === null) {
      this.#finish(false);
      if (this.#mode === "close") return null;
      throw new TugError("unavailable", "the daemon closed the connection within a reply");
    }
    const piece = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    if (piece.length < chunk.length) this.#connection.unread(chunk.subarray(piece.length));
    this.#left -= piece.length;
    if (this.#mode === "length" && this.#left === 0) this.#finish(this.#reusable);
    return piece;
  }

  /** The whole body as text. */
  async text(): Promise<string> {
    const parts: Uint8Array[] = [];
    for (let part = await this.next(); part !== null; part = await this.next()) parts.push(part);
    return parts.length === 1 && parts[0]
      ? Buffer.from(parts[0].buffer, parts[0].byteOffset, parts[0].length).toString()
      : Buffer.concat(parts).toString();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (let part = await this.next(); part !== null; part = await this.next()) yield part;
    } finally {
      this.cancel();
    }
  }

  /** Gives the rest up; the connection is closed when there is a rest. */
  cancel(): void {
    if (!this.#finished) this.#finish(false);
  }

  #finish(reusable: boolean): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#done(reusable);
  }

  async #line(): Promise<string> {
    let text = "";
    for (;;) {
      const chunk = await this.#connection.read();
      if (chunk === null)
        throw new TugError("unavailable", "the daemon closed the connection within a reply");
      const end = chunk.indexOf(10);
      if (end >= 0) {
        this.#connection.unread(chunk.subarray(end + 1));
        return (text + Buffer.from(chunk.subarray(0, end)).toString("latin1")).replace(/\r$/, "");
      }
      text += Buffer.from(chunk).toString("latin1");
      if (text.length > maxHead) throw new TugError("unavailable", "malformed chunk in the daemon's reply");
    }
  }

  async #chunkSize(): Promise<number> {
    if (this.#inChunk) await this.#line(); // the CRLF behind the chunk before
    this.#inChunk = true;
    const text = (await this.#line()).split(";")[0] ?? "";
    if (!/^[0-9a-fA-F]{1,12}$/.test(text.trim()))
      throw new TugError("unavailable", "malformed chunk in the daemon's reply");
    return Number.parseInt(text, 16);
  }

  async #trailer(): Promise<void> {
    for (let line = await this.#line(); line !== ""; line = await this.#line());
  }
}
