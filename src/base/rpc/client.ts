import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { type ByteStream, toDuplex } from "./bytes.ts";
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

/** Calls methods of the peer on `bytes`. */
export function openRpc(bytes: ByteStream): RpcClient {
  const session = http2.connect("http://localhost", {
    createConnection: () => toDuplex(bytes),
    settings: { initialWindowSize: windowBytes, enablePush: false },
  });
  const closed = Promise.withResolvers<void>();
  const stopKeepalive = keepalive(session);
  session.on("error", () => session.destroy()); // each call on it fails with its own error
  session.on("close", () => {
    stopKeepalive();
    bytes.close();
    closed.resolve();
  });

  const open = <I, O>(method: Method<I, O>, options: CallOptions = {}) => {
    options.signal?.throwIfAborted();
    if (session.destroyed || session.closed) throw connectionClosed();
    return new ClientCall(request(session, method.path, options.metadata), method, options.signal);
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
    close: () => session.destroy(),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await closed.promise;
    },
  };
  return client;
}

function request(session: ClientHttp2Session, path: string, metadata: Metadata = {}): ClientHttp2Stream {
  const fields: Record<string, string | string[]> = {
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "tug",
  };
  for (const [name, values] of Object.entries(metadata)) fields[name] = [...values];
  return session.request(fields);
}

class ClientCall<I, O> extends MessageStream<O, I> implements RpcCall<I, O> {
  readonly #stream: ClientHttp2Stream;
  #status: { readonly error: RpcError | undefined } | undefined;
  #done = false;

  constructor(stream: ClientHttp2Stream, method: Method<I, O>, signal: AbortSignal | undefined) {
    super(stream, method.output, method.input);
    this.#stream = stream;
    const abort = () => this.#giveUp(new RpcError(Code.cancelled, "context canceled", [], signal?.reason));
    signal?.addEventListener("abort", abort, { once: true });
    stream.on("response", (headers) => {
      const status = Number(headers[":status"]);
      if (status !== 200) this.#giveUp(new RpcError(Code.unavailable, `unexpected HTTP status ${status}`));
      else if (headers["grpc-status"] !== undefined) this.#learn(headers);
    });
    stream.on("trailers", (headers) => this.#learn(headers));
    stream.on("end", () => {
      if (this.#status) this.#over();
    });
    stream.on("error", () => undefined); // "close" follows
    stream.on("close", () => {
      signal?.removeEventListener("abort", abort);
      this.#status ??= { error: connectionClosed() };
      this.#over();
    });
  }

  end(): void {
    this.flush();
    if (!this.#stream.destroyed) this.#stream.end();
  }

  cancel(): void {
    this.#giveUp(new RpcError(Code.cancelled, "context canceled"));
  }

  #learn(headers: Readonly<Record<string, unknown>>): void {
    this.#status ??= { error: errorOfFields(headers) };
  }

  #giveUp(error: RpcError): void {
    if (this.#done) return;
    this.#status = { error };
    this.#over();
    this.#stream.close(http2.constants.NGHTTP2_CANCEL);
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
    if (!this.#stream.writableEnded) this.#stream.close(http2.constants.NGHTTP2_CANCEL);
  }
}

/** Asks for a sign of life now and then, because a peer whose host is gone says nothing. */
export function keepalive(session: {
  ping(callback: (error: Error | null) => void): boolean;
  destroy(): void;
}): () => void {
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return session.destroy();
    waiting = true;
    session.ping(() => {
      waiting = false;
    });
  }, keepaliveMs);
  timer.unref();
  return () => clearInterval(timer);
}

const connectionClosed = () => new RpcError(Code.unavailable, "the connection was closed");
