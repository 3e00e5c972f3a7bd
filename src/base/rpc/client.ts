import type { ByteStream } from "./bytes.ts";
import { Http2Connection } from "./http2/connection.ts";
import { ConnectionError, Reason } from "./http2/frames.ts";
import type { Fields } from "./http2/hpack.ts";
import type { Http2Stream } from "./http2/stream.ts";
import type { Metadata } from "./metadata.ts";
import type { Method } from "./method.ts";
import { Code, errorOfFields, RpcError } from "./status.ts";
import { MessageStream, type RpcStream } from "./stream.ts";

export interface CallOptions {
  readonly metadata?: Metadata | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A call with messages in both directions. */
export interface RpcCall<Request, Reply> extends RpcStream<Reply, Request> {
  /** No more requests will be sent. */
  end(): void;
  /** Gives the call up. */
  cancel(): void;
}

/** The calling side of a connection. */
export interface RpcClient extends AsyncDisposable {
  /** One request, one reply. */
  call<I, O>(method: Method<I, O>, request: I, options?: CallOptions): Promise<O>;
  open<I, O>(method: Method<I, O>, options?: CallOptions): RpcCall<I, O>;
  /** One request, replies until the peer ends. */
  replies<I, O>(method: Method<I, O>, request: I, options?: CallOptions): AsyncGenerator<O, void, void>;
  /** Resolves when the connection is gone; never rejects. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Reads what is left of a call, so that it ends with its status. */
export async function drained(call: { next(): Promise<unknown> }): Promise<void> {
  while ((await call.next()) !== undefined);
}

/** Milliseconds between signs of life that are asked for; a peer that gives none for as long again is gone. */
const keepaliveMs = 30_000;
/** Bytes that a peer may send ahead on one stream. */
export const windowBytes = 1 << 20;
/** Of one list of header fields: include patterns and followed paths of a large Dockerfile are there. */
export const maxHeaderBytes = 1 << 20;

/** Calls methods of the peer on `bytes`. */
export function openRpc(bytes: ByteStream): RpcClient {
  const closed = Promise.withResolvers<void>();
  const connection = new Http2Connection(bytes, {
    role: "client",
    windowBytes,
    maxHeaderBytes,
    maxStreams: 0,
    // Each call on it fails with its own error.
    onClose: () => {
      stopKeepalive();
      closed.resolve();
    },
  });
  const stopKeepalive = keepalive(connection);

  const open = <I, O>(method: Method<I, O>, options: CallOptions = {}) => {
    options.signal?.throwIfAborted();
    return new ClientCall(request(connection, method.path, options.metadata), method, options.signal);
  };
  const client: RpcClient = {
    open,
    async call(method, message, options) {
      const call = open(method, options);
      void call.send(message).catch(() => undefined); // `next` says what went wrong
      call.end();
      const reply = await call.next();
      if (reply === undefined) throw new RpcError(Code.internal, `${method.path}: the reply has no message`);
      await call.next(); // the status comes after the message
      return reply;
    },
    async *replies(method, message, options) {
      const call = open(method, options);
      void call.send(message).catch(() => undefined); // `next` says what went wrong
      call.end();
      try {
        for (let reply = await call.next(); reply !== undefined; reply = await call.next()) yield reply;
      } finally {
        call.cancel();
      }
    },
    closed: closed.promise,
    close: () => connection.destroy(),
    async [Symbol.asyncDispose]() {
      connection.destroy();
      await closed.promise;
    },
  };
  return client;
}

function request(connection: Http2Connection, path: string, metadata: Metadata = {}): Http2Stream {
  const fields = [":method", "POST", ":scheme", "http", ":path", path, ":authority", "localhost"];
  fields.push("content-type", "application/grpc", "te", "trailers", "user-agent", "tug");
  for (const [name, values] of Object.entries(metadata)) for (const value of values) fields.push(name, value);
  try {
    return connection.request(fields);
  } catch (error) {
    if (error instanceof ConnectionError) throw new RpcError(Code.unavailable, error.message, [], error);
    throw error;
  }
}

class ClientCall<I, O> extends MessageStream<O, I> implements RpcCall<I, O> {
  readonly #stream: Http2Stream;
  readonly #unwatch: () => void;
  #status: { readonly error: RpcError | undefined } | undefined;
  #responded = false;
  #done = false;

  constructor(stream: Http2Stream, method: Method<I, O>, signal: AbortSignal | undefined) {
    super(stream, method.output, method.input);
    this.#stream = stream;
    const abort = () => this.#giveUp(new RpcError(Code.cancelled, "context canceled", [], signal?.reason));
    signal?.addEventListener("abort", abort, { once: true });
    this.#unwatch = () => signal?.removeEventListener("abort", abort);
  }

  end(): void {
    this.flush();
    this.#stream.end();
  }

  cancel(): void {
    this.#giveUp(new RpcError(Code.cancelled, "context canceled"));
  }

  protected override onHeaders(fields: Fields): void {
    const values: Record<string, string> = Object.create(null);
    for (let i = 0; i + 1 < fields.length; i += 2) values[fields[i] ?? ""] = fields[i + 1] ?? "";
    const status = values[":status"] ?? "";
    if (/^1\d\d$/.test(status)) return; // a notice: the response follows
    if (!this.#responded && status !== "200")
      this.#giveUp(new RpcError(Code.unavailable, `unexpected HTTP status ${status}`));
    else if (this.#responded || values["grpc-status"] !== undefined)
      this.#status ??= { error: errorOfFields(values) };
    this.#responded = true;
  }

  protected override onEnd(): void {
    this.#status ??= { error: new RpcError(Code.internal, "the peer ended the call without a status") };
    this.#over();
  }

  protected override onClose(): void {
    this.#unwatch();
    this.#status ??= { error: connectionClosed() };
    this.#over();
  }

  #giveUp(error: RpcError): void {
    if (this.#done) return;
    this.#status = { error };
    this.#over();
    this.#stream.reset(Reason.cancel);
  }

  #over(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#status?.error) this.fail(this.#status.error);
    else {
      this.finish();
      this.close();
    }
    // The peer answered before it read everything: the rest need not be sent.
    if (!this.#stream.ended) this.#stream.reset(Reason.cancel);
  }
}

/** Asks for a sign of life now and then, because a peer whose host is gone says nothing. */
export function keepalive(connection: Pick<Http2Connection, "ping" | "destroy">): () => void {
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return connection.destroy();
    waiting = true;
    connection.ping(() => {
      waiting = false;
    });
  }, keepaliveMs);
  timer.unref();
  return () => clearInterval(timer);
}

const connectionClosed = () => new RpcError(Code.unavailable, "the connection was closed");
