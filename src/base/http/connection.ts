import { messageOf } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Handler } from "./exchange.ts";
import { encodeHead, maxHeadBytes, parseHead } from "./head.ts";
import { Outbound, type Wire } from "./outbound.ts";
import { type Channel, ServerExchange } from "./server-exchange.ts";
import { statusText } from "./status-text.ts";

/** And this long without taking a byte once the reply is complete. */
const lingerSeconds = 30;
/** After our end was sent, the client has this long to send its own. */
const finMilliseconds = 1000;
/** An unread request body is read away up to this size so that the connection can be kept. */
const discardLimit = 256 * 1024;
/** Pipelined requests wait behind the current one; past this size the socket is paused. */
const pipelineLimit = 64 * 1024;
const tlsHandshake = 0x16;
const none = new Uint8Array(0);

/** How long a client may take over what costs it nothing. */
export interface ConnectionLimits {
  /** Seconds to finish a request head, however many pieces it comes in. */
  readonly headSeconds: number;
  /** Seconds between requests, and before the first one; 0 is for ever. */
  readonly idleSeconds: number;
}

/** dockerd's ReadHeaderTimeout is five minutes, the longest Bun's sockets can count to is four; between requests it waits for ever. */
const defaultLimits: ConnectionLimits = { headSeconds: 240, idleSeconds: 0 };

export interface ConnectionDeps {
  readonly handler: Handler;
  readonly log: Log;
  /** `joinLimit` bytes to join writes in; may be shared. */
  readonly scratch: Uint8Array;
  readonly limits?: ConnectionLimits;
}

type Phase =
  | "head" // between requests, or in the middle of a head
  | "exchange" // a handler is at work, or the rest of its request body is being read away
  | "raw" // hijacked
  | "lingering" // the reply is complete, the connection closes when the client has read it
  | "closed";

/** HTTP/1.1 on one socket: reads heads and bodies, runs one handler at a time, keeps the connection or hands it over. */
export class Connection implements Channel {
  readonly out: Outbound;
  readonly #wire: Wire;
  readonly #deps: ConnectionDeps;
  #phase: Phase = "head";
  #buffered: Buffer | undefined;
  #current: ServerExchange | undefined;
  #peerEnded = false;
  #paused = false;
  #closing = false;
  readonly #limits: ConnectionLimits;
  /** When the head that is incomplete began (performance.now). */
  #headSince: number | undefined;

  constructor(wire: Wire, deps: ConnectionDeps) {
    this.#wire = wire;
    this.#deps = deps;
    this.#limits = deps.limits ?? defaultLimits;
    this.out = new Outbound(wire, deps.scratch);
    if (this.#limits.idleSeconds > 0) wire.timeout(this.#limits.idleSeconds);
  }

  /** No request is under way. */
  get idle(): boolean {
    return this.#phase === "head";
  }

  get halfClosed(): boolean {
    return this.#peerEnded;
  }

  /** Finishes the request under way, then closes. */
  closeSoon(): void {
    this.#closing = true;
    if (this.idle || (this.#phase === "lingering" && this.out.empty)) this.terminate();
  }

  terminate(): void {
    if (this.#phase !== "closed") this.#wire.terminate();
  }

  received(bytes: Buffer): void {
    switch (this.#phase) {
      case "raw":
        this.#current?.feedRaw(bytes);
        return;
      case "exchange": {
        const current = this.#current;
        const rest = current && !current.bodyComplete ? current.feed(bytes) : bytes;
        if (rest && rest.length > 0) this.#buffer(rest);
        if (current?.over && current.bodyComplete && this.#phase === "exchange") this.#next();
        return;
      }
      case "head":
        this.#buffer(bytes);
        this.#readHead();
    }
  }

  /** The client closed its direction. */
  peerEnded(): void {
    this.#peerEnded = true;
    if (this.#phase === "head" || this.#phase === "lingering") this.out.whenEmpty(() => this.terminate());
    // The rest of a body that nobody wants will not come.
    else if (this.#phase === "exchange" && this.#current?.over) this.#linger();
    else this.#current?.peerEnded(this.#phase === "raw");
  }

  closed(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.out.closedByPeer();
    this.#current?.peerGone();
    this.#current = undefined;
    this.#buffered = undefined;
  }

  timedOut(): void {
    if (this.#phase === "head" || this.#phase === "lingering") this.terminate();
  }

  pause(): void {
    if (this.#paused || this.#phase === "closed") return;
    this.#paused = true;
    this.#wire.pause();
  }

  resume(): void {
    if (!this.#paused || this.#phase === "closed") return;
    this.#paused = false;
    this.#wire.resume();
  }

  becomeRaw(): Uint8Array {
    if (this.#phase === "exchange") this.#phase = "raw";
    const rest = this.#buffered ?? none;
    this.#buffered = undefined;
    this.resume();
    return rest;
  }

  async #run(exchange: ServerExchange): Promise<void> {
    try {
      await this.#deps.handler(exchange);
      if (!exchange.complete()) throw new Error("the handler gave no reply");
    } catch (error) {
      if (this.#phase === "closed") return;
      // What fails because its client went away is no news.
      if (!exchange.gone) this.#deps.log.error("request failed", { path: exchange.path, error });
      // A reply that was begun cannot be taken back: cutting the connection is how the client learns.
      if (exchange.headSent) return this.terminate();
      exchange.keepAlive = false;
      exchange.send(
        500,
        { "Content-Type": "application/json" },
        `${JSON.stringify({ message: messageOf(error) })}\n`,
      );
      exchange.complete();
    }
    this.#exchangeOver(exchange);
  }

  #exchangeOver(exchange: ServerExchange): void {
    if (this.#phase === "closed" || this.#current !== exchange) return;
    if (this.#phase === "raw" || !exchange.keepAlive || this.#peerEnded || this.#closing) {
      this.#linger();
      return;
    }
    if (exchange.bodyComplete) {
      this.#next();
      return;
    }
    this.resume();
    exchange.discardBody(discardLimit, () => this.#linger());
  }

  /** Our direction ends when all is written; the client's is drained, because closing with unread bytes would reset it. */
  #linger(): void {
    if (this.#phase === "closed" || this.#phase === "lingering") return;
    this.#phase = "lingering";
    this.#current?.ignoreInput();
    this.#current = undefined;
    this.#buffered = undefined;
    this.resume();
    this.#wire.timeout(lingerSeconds);
    this.out.whenEmpty(() => {
      if (this.#phase === "closed") return;
      if (this.#peerEnded) return this.terminate();
      this.#wire.shutdown();
      setTimeout(() => this.terminate(), finMilliseconds).unref();
    });
  }

  #next(): void {
    this.#current = undefined;
    this.#phase = "head";
    this.resume();
    if (this.#buffered) this.#readHead();
    else if (this.#limits.idleSeconds > 0) this.#wire.timeout(this.#limits.idleSeconds);
  }

  #buffer(bytes: Uint8Array): void {
    this.#buffered = this.#buffered ? Buffer.concat([this.#buffered, bytes]) : asBuffer(bytes);
    if (this.#phase === "exchange" && this.#buffered.length > pipelineLimit) this.pause();
  }

  #readHead(): void {
    let bytes = this.#buffered;
    if (!bytes) return;
    // A client may send empty lines before the request line (RFC 9112, 2.2).
    let start = 0;
    while (bytes[start] === 13 || bytes[start] === 10) start++;
    if (start > 0) bytes = bytes.subarray(start);
    // A TLS handshake begins with this byte (RFC 8446, 5.1): clients that try HTTPS first would wait for a line that never ends.
    if (bytes[0] === tlsHandshake) {
      this.#refuse(400, "Client sent an HTTPS request to an HTTP server.");
      return;
    }
    const end = bytes.indexOf("\r\n\r\n");
    if (end > maxHeadBytes || (end < 0 && bytes.length > maxHeadBytes)) {
      this.#refuse(431, "request header is too large");
      return;
    }
    if (end < 0) {
      this.#buffered = bytes.length > 0 ? bytes : undefined;
      this.#awaitHead(bytes.length > 0);
      return;
    }
    this.#headSince = undefined;
    this.#wire.timeout(0);
    this.#buffered = undefined;
    let exchange: ServerExchange;
    try {
      exchange = new ServerExchange(this, parseHead(bytes.toString("latin1", 0, end)));
    } catch (error) {
      this.#refuse(400, messageOf(error));
      return;
    }
    this.#phase = "exchange";
    this.#current = exchange;
    const rest = bytes.subarray(end + 4);
    if (rest.length > 0) this.received(rest);
    void this.#run(exchange);
  }

  /** A socket's timeout begins again with each byte; a head that comes in drops is ended by its age. */
  #awaitHead(begun: boolean): void {
    const { headSeconds, idleSeconds } = this.#limits;
    this.#wire.timeout(begun ? headSeconds : idleSeconds);
    if (!begun) return;
    const now = performance.now();
    this.#headSince ??= now;
    if (now - this.#headSince > headSeconds * 1000) this.terminate();
  }

  /** Answers what is not HTTP, or too much of it, and closes. */
  #refuse(status: number, message: string): void {
    const body = `${JSON.stringify({ message })}\n`;
    const head = encodeHead(status, statusText(status), {
      "Content-Type": "application/json",
      "Content-Length": String(Buffer.byteLength(body)),
      Connection: "close",
    });
    this.out.push(Buffer.from(head + body));
    this.#linger();
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
