import type { ReplyHeaders } from "./head.ts";

/**
 * One request and its one reply, as a handler sees them.
 *
 * A handler replies in exactly one of three ways: `send` (a whole body), `stream` (a body of unknown length, each write on the
 * wire at once) or `hijack` (HTTP ends here and both directions become plain bytes; this is how Docker attaches). When its
 * promise settles the exchange is over: an open stream is ended, a hijacked connection closed. Throwing after the head was
 * sent cuts the connection, so that the client cannot take a broken body for a whole one.
 *
 *     async (exchange) => exchange.send(200, { "Content-Type": "text/plain" }, "OK")
 */
export interface Exchange {
  readonly method: string;
  /** Percent-decoded path, without the query. */
  readonly path: string;
  /** The query as sent. */
  readonly search: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: RequestBody;
  /** Aborted when the client goes away before the reply is complete. */
  readonly signal: AbortSignal;
  readonly headSent: boolean;
  send(status: number, headers: ReplyHeaders, body?: string | Uint8Array): void;
  stream(status: number, headers: ReplyHeaders): ReplyStream;
  hijack(status: number, headers: ReplyHeaders): RawStream;
}

export interface RequestBody {
  /** The declared length; undefined when the body is chunked. 0 means that there is none. */
  readonly length: number | undefined;
  stream(): ReadableStream<Uint8Array>;
  /** The whole body. Throws `invalid-argument` past `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>;
}

export interface ReplyStream {
  /** Resolves when the client keeps up; rejects when it has gone. The bytes may be reused at once. */
  write(bytes: Uint8Array | string): Promise<void>;
  end(): void;
}

export interface RawStream {
  /** What the client sends, piece by piece; undefined when it closed its direction. */
  next(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
  /** Writes a header and its payload as one. */
  write2(head: Uint8Array, body: Uint8Array): Promise<void>;
  /** Nothing of the input will be read. */
  ignoreInput(): void;
}

export type Handler = (exchange: Exchange) => Promise<void>;
