import { TugError } from "../lib/errors.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { Exchange, RawStream, ReplyStream, RequestBody } from "./exchange.ts";
import { bodyFraming, encodeHead, hasToken, type ReplyHeaders, type RequestHead } from "./head.ts";
import { Inbound } from "./inbound.ts";
import type { Outbound } from "./outbound.ts";
import { statusText } from "./status-text.ts";

/** What an exchange needs of its connection. */
export interface Channel {
  readonly out: Outbound;
  readonly halfClosed: boolean;
  pause(): void;
  resume(): void;
  /** From here on all input belongs to this exchange; returns what was read ahead. */
  becomeRaw(): Uint8Array;
}

const none = new Uint8Array(0);
const continueLine = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");
const lineEnd = Buffer.from("\r\n");
const lastChunk = Buffer.from("0\r\n\r\n");

/** The exchange on one connection: body framing in, reply framing out. */
export class ServerExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly search: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: RequestBody;
  keepAlive: boolean;
  headSent = false;
  /** The handler's promise has settled. */
  over = false;
  readonly #channel: Channel;
  readonly #http10: boolean;
  readonly #chunked: ChunkedDecoder | undefined;
  #input: Inbound;
  #bodyLeft: number;
  #awaitsContinue: boolean;
  #discard: { left: number; readonly tooMuch: () => void } | undefined;
  #abort: AbortController | undefined;
  #gone = false;
  #endReply: (() => void) | undefined;

  constructor(channel: Channel, head: RequestHead) {
    this.#channel = channel;
    this.method = head.method;
    this.headers = head.headers;
    this.#http10 = head.minor === 0;
    const framing = bodyFraming(head);
    this.#chunked = framing === "chunked" ? new ChunkedDecoder() : undefined;
    this.#bodyLeft = framing === "chunked" ? 0 : framing;
    this.keepAlive = this.#http10
      ? hasToken(head.headers, "connection", "keep-alive")
      : !hasToken(head.headers, "connection", "close");
    this.#awaitsContinue = !this.bodyComplete && hasToken(head.headers, "expect", "100-continue");
    const question = head.target.indexOf("?");
    // The absolute form carries scheme and authority before the path (RFC 9112, 3.2.2).
    const raw = (question < 0 ? head.target : head.target.slice(0, question)).replace(
      /^https?:\/\/[^/]*/,
      "",
    );
    this.search = question < 0 ? "" : head.target.slice(question + 1);
    this.path = decodePath(raw === "" ? "/" : raw);
    this.#input = this.#newInput();
    if (this.bodyComplete) this.#input.end();
    this.body = {
      length: framing === "chunked" ? undefined : framing,
      stream: () => {
        this.#sendContinue();
        return this.#input.stream();
      },
      bytes: (limit) => {
        this.#sendContinue();
        return readAll(this.#input, limit);
      },
    };
  }

  get bodyComplete(): boolean {
    return this.#chunked ? this.#chunked.done : this.#bodyLeft === 0;
  }

  /** The client went away before the reply was complete. */
  get gone(): boolean {
    return this.#gone;
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#gone) this.#abort.abort(cancelled());
    }
    return this.#abort.signal;
  }

  send(status: number, headers: ReplyHeaders, body: string | Uint8Array = none): void {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const bodiless = status === 304 || status === 204;
    const head = this.#head(
      status,
      bodiless || "Content-Length" in headers
        ? headers
        : { ...headers, "Content-Length": String(bytes.length) },
    );
    this.#channel.out.pushParts(head, bodiless || this.method === "HEAD" ? none : bytes);
  }

  stream(status: number, headers: ReplyHeaders): ReplyStream {
    const framed = !this.#http10 && !("Content-Length" in headers);
    if (this.#http10) this.keepAlive = false;
    const { out } = this.#channel;
    out.push(this.#head(status, framed ? { ...headers, "Transfer-Encoding": "chunked" } : headers));
    const silent = this.method === "HEAD";
    let open = true;
    const end = () => {
      if (!open) return;
      open = false;
      if (framed && !silent) out.push(lastChunk);
    };
    this.#endReply = end;
    return {
      write: (data) => {
        const bytes = typeof data === "string" ? Buffer.from(data) : data;
        if (open && !silent && bytes.length > 0) {
          if (framed) out.pushParts(Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, lineEnd);
          else out.push(bytes);
        }
        return out.ready();
      },
      end,
    };
  }

  hijack(status: number, headers: ReplyHeaders): RawStream {
    this.keepAlive = false;
    this.#markHead();
    const { out } = this.#channel;
    out.push(Buffer.from(encodeHead(status, statusText(status), headers)));
    this.#input = this.#newInput();
    const rest = this.#channel.becomeRaw();
    this.#input.push(rest);
    if (this.#gone) this.#input.fail(cancelled());
    else if (this.#channel.halfClosed) this.#input.end();
    const input = this.#input;
    return {
      next: () => input.next(),
      write: (bytes) => {
        out.push(bytes);
        return out.ready();
      },
      write2: (head, body) => {
        out.pushParts(head, body);
        return out.ready();
      },
      ignoreInput: () => input.discard(),
    };
  }

  /** Takes body bytes; returns what belongs to the next request. */
  feed(bytes: Uint8Array): Uint8Array | undefined {
    let rest: Uint8Array | undefined;
    if (this.#chunked) {
      try {
        rest = this.#chunked.feed(bytes, (payload) => this.#payload(payload));
      } catch (error) {
        this.keepAlive = false;
        this.#input.fail(error);
        this.#channel.pause();
        return undefined;
      }
    } else {
      const take = Math.min(this.#bodyLeft, bytes.length);
      this.#bodyLeft -= take;
      this.#payload(take === bytes.length ? bytes : bytes.subarray(0, take));
      rest = bytes.subarray(take);
    }
    if (this.bodyComplete) this.#input.end();
    return rest;
  }

  /** Raw bytes after `hijack`. */
  feedRaw(bytes: Uint8Array): void {
    this.#input.push(bytes);
  }

  /** Reads the rest of the body away; `tooMuch` is called when that is not worth it. */
  discardBody(limit: number, tooMuch: () => void): void {
    this.#input.discard();
    if (this.#awaitsContinue || this.#bodyLeft > limit) {
      tooMuch();
      return;
    }
    this.#discard = { left: limit, tooMuch };
  }

  ignoreInput(): void {
    this.#input.discard();
  }

  /**
   * The client closed its direction. On a stream, or a request for one, that is the end of stdin; otherwise it went away, as
   * Go's server sees it.
   */
  peerEnded(raw: boolean): void {
    if (raw) {
      this.#input.end();
      return;
    }
    if (this.bodyComplete && this.headers.has("upgrade")) return;
    if (!this.bodyComplete) this.#input.fail(new TugError("invalid-argument", "unexpected EOF"));
    this.#goneAway();
  }

  peerGone(): void {
    this.#input.fail(cancelled());
    this.#goneAway();
  }

  /** The handler is done: ends what it left open. False when it never replied. */
  complete(): boolean {
    this.over = true;
    this.#endReply?.();
    return this.headSent;
  }

  #goneAway(): void {
    if (this.over || this.#gone) return;
    this.#gone = true;
    this.#abort?.abort(cancelled());
  }

  #payload(bytes: Uint8Array): void {
    if (!this.#discard) {
      this.#input.push(bytes);
      return;
    }
    this.#discard.left -= bytes.length;
    if (this.#discard.left < 0) this.#discard.tooMuch();
  }

  #newInput(): Inbound {
    return new Inbound({ onFull: () => this.#channel.pause(), onRoom: () => this.#channel.resume() });
  }

  #sendContinue(): void {
    if (!this.#awaitsContinue || this.headSent) return;
    this.#awaitsContinue = false;
    this.#channel.out.push(continueLine);
  }

  #markHead(): void {
    if (this.headSent) throw new Error("the reply was started already");
    this.headSent = true;
  }

  #head(status: number, headers: ReplyHeaders): Uint8Array {
    this.#markHead();
    if (this.#awaitsContinue) this.keepAlive = false;
    const connection = this.keepAlive
      ? this.#http10
        ? { Connection: "keep-alive" }
        : {}
      : { Connection: "close" };
    const date = { Date: new Date().toUTCString() };
    return Buffer.from(encodeHead(status, statusText(status), { ...headers, ...date, ...connection }));
  }
}

async function readAll(input: Inbound, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let part = await input.next(); part; part = await input.next()) {
    size += part.length;
    if (size > limit) {
      input.discard();
      throw new TugError("invalid-argument", "http: request body too large");
    }
    parts.push(part);
  }
  const only = parts[0];
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}

function decodePath(raw: string): string {
  if (!raw.includes("%")) return raw;
  try {
    return decodeURIComponent(raw);
  } catch (error) {
    throw new TugError("invalid-argument", `malformed HTTP request: path ${JSON.stringify(raw)}`, {
      cause: error,
    });
  }
}

function cancelled(): TugError {
  return new TugError("cancelled", "context canceled");
}
