import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { messageOf } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type ByteStream, toDuplex } from "./bytes.ts";
import { keepalive, windowBytes } from "./client.ts";
import { type Metadata, metadataOf, timeoutOf } from "./metadata.ts";
import type { Method } from "./method.ts";
import { Code, RpcError, statusFields, statusOf } from "./status.ts";
import { MessageStream, type RpcStream } from "./stream.ts";

/** What a method's implementation sees of its call besides the messages. */
export interface CallContext {
  readonly metadata: Metadata;
  /** Aborted when the caller gave up, its deadline passed or its connection ended. */
  readonly signal: AbortSignal;
}

/** A method with what answers it. Made by `unary`, `serverStream` and `bidi`. */
export interface Service {
  readonly path: string;
  serve(stream: ServerHttp2Stream, metadata: Metadata): Promise<void>;
}

/** One request, one reply. */
export function unary<I, O>(
  method: Method<I, O>,
  answer: (request: I, context: CallContext) => Promise<O>,
): Service {
  return bidi(method, async (stream, context) => {
    await stream.send(await answer(await onlyRequest(stream), context));
  });
}

/** One request, any number of replies. */
export function serverStream<I, O>(
  method: Method<I, O>,
  answer: (request: I, send: (reply: O) => Promise<void>, context: CallContext) => Promise<void>,
): Service {
  return bidi(method, async (stream, context) => {
    await answer(await onlyRequest(stream), (reply) => stream.send(reply), context);
  });
}

/** Messages in both directions; the call ends with the promise. */
export function bidi<I, O>(
  method: Method<I, O>,
  answer: (stream: RpcStream<I, O>, context: CallContext) => Promise<void>,
): Service {
  return {
    path: method.path,
    serve: async (http, metadata) => {
      const stream = new MessageStream<I, O>(http, method.input, method.output);
      http.on("end", () => stream.finish());
      http.on("close", () => stream.fail(new RpcError(Code.cancelled, "context canceled")));
      try {
        await answer(stream, { metadata, signal: stream.signal });
        stream.flush();
      } catch (error) {
        stream.flush();
        throw error;
      }
    },
  };
}

async function onlyRequest<I>(stream: RpcStream<I, unknown>): Promise<I> {
  const request = await stream.next();
  if (request === undefined) throw new RpcError(Code.internal, "grpc: the call has no request message");
  return request;
}

export interface ServeOptions {
  readonly services: readonly Service[];
  readonly log: Log;
  /** Ends the connection. */
  readonly signal?: AbortSignal | undefined;
}

/** Calls that one connection may have under way. BuildKit's clients have a dozen. */
const maxStreams = 256;
/** A caller that goes on sending after its call was answered is cut off after so many milliseconds. */
const unwantedMs = 5_000;
/** Of one call's header fields: include patterns and followed paths of a large Dockerfile are there. */
const maxHeaderBytes = 1 << 20;

/** Answers calls on `bytes` until the connection ends. */
export async function serveRpc(bytes: ByteStream, options: ServeOptions): Promise<void> {
  const { log, signal } = options;
  const services = new Map(options.services.map((service) => [service.path, service]));
  const server = http2.createServer({
    settings: {
      initialWindowSize: windowBytes,
      maxConcurrentStreams: maxStreams,
      maxHeaderListSize: maxHeaderBytes,
    },
  });
  const over = Promise.withResolvers<void>();
  const duplex = toDuplex(bytes);
  duplex.on("error", () => undefined); // "close" follows
  duplex.on("close", () => over.resolve());
  server.on("sessionError", (error) => {
    log.debug("rpc connection failed", { error });
    duplex.destroy();
  });
  server.on("session", (session) => {
    const stop = keepalive(session);
    session.on("close", () => {
      stop();
      duplex.destroy();
      over.resolve();
    });
  });
  server.on(
    "stream",
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
      stream.on("error", () => undefined); // "close" follows
      const path = String(headers[":path"] ?? "");
      const type = String(headers["content-type"] ?? "");
      const service = services.get(path);
      const timeout = timeoutOf(asText(headers["grpc-timeout"]));
      void answer(stream, path, type, service, metadataOf(raw), timeout, log);
    },
  );
  const abort = () => duplex.destroy();
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  else server.emit("connection", duplex);
  await over.promise;
  signal?.removeEventListener("abort", abort);
}

const asText = (field: unknown) => (typeof field === "string" ? field : undefined);

async function answer(
  stream: ServerHttp2Stream,
  path: string,
  type: string,
  service: Service | undefined,
  metadata: Metadata,
  timeout: number | undefined,
  log: Log,
): Promise<void> {
  let deadline: ReturnType<typeof setTimeout> | undefined;
  try {
    if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(type)) {
      stream.respond({ ":status": 415 }, { endStream: true });
      return;
    }
    if (!service) throw new RpcError(Code.unimplemented, `unknown method ${path}`);
    const late = Promise.withResolvers<never>();
    if (timeout !== undefined) {
      deadline = setTimeout(
        () => late.reject(new RpcError(Code.deadlineExceeded, "context deadline exceeded")),
        Math.min(timeout, 2 ** 31 - 1),
      );
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    await Promise.race([service.serve(stream, metadata), late.promise]);
    end(stream, { "grpc-status": "0" });
  } catch (error) {
    const status = statusOf(error);
    if (status.code === Code.unknown) log.debug("rpc failed", { path, error: messageOf(error) });
    end(stream, statusFields(status));
  } finally {
    clearTimeout(deadline);
  }
}

/** Ends the call: with trailers, or as a whole where nothing was said yet. */
function end(stream: ServerHttp2Stream, fields: Record<string, string>): void {
  if (stream.destroyed || stream.closed) return;
  if (!stream.headersSent) {
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...fields }, { endStream: true });
  } else {
    stream.on("wantTrailers", () => stream.sendTrailers(fields));
    stream.end();
  }
  stream.resume(); // what the caller still sends is not wanted
  const stop = setTimeout(() => stream.close(http2.constants.NGHTTP2_NO_ERROR), unwantedMs);
  stream.once("close", () => clearTimeout(stop));
}
