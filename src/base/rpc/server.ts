import { messageOf } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { ByteStream } from "./bytes.ts";
import { keepalive, maxHeaderBytes, windowBytes } from "./client.ts";
import { Http2Connection } from "./http2/connection.ts";
import { Reason } from "./http2/frames.ts";
import type { Fields } from "./http2/hpack.ts";
import type { Http2Stream } from "./http2/stream.ts";
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
  serve(stream: Http2Stream, metadata: Metadata): Promise<void>;
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

/** Answers calls on `bytes` until the connection ends. */
export async function serveRpc(bytes: ByteStream, options: ServeOptions): Promise<void> {
  const { log, signal } = options;
  if (signal?.aborted) return bytes.close();
  const services = new Map(options.services.map((service) => [service.path, service]));
  const over = Promise.withResolvers<void>();
  const connection = new Http2Connection(bytes, {
    role: "server",
    windowBytes,
    maxStreams,
    maxHeaderBytes,
    onStream: (stream, fields) => void answer(stream, fields, services, log),
    onClose: (error) => {
      if (error !== undefined) log.debug("rpc connection failed", { error });
      over.resolve();
    },
  });
  const stop = keepalive(connection);
  const abort = () => connection.destroy();
  signal?.addEventListener("abort", abort, { once: true });
  await over.promise;
  signal?.removeEventListener("abort", abort);
  stop();
}

async function answer(
  stream: Http2Stream,
  fields: Fields,
  services: ReadonlyMap<string, Service>,
  log: Log,
): Promise<void> {
  const path = fieldOf(fields, ":path") ?? "";
  let responded = false;
  let deadline: ReturnType<typeof setTimeout> | undefined;
  try {
    if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(fieldOf(fields, "content-type") ?? "")) {
      stream.sendHeaders([":status", "415"], true);
      return;
    }
    const service = services.get(path);
    if (!service) throw new RpcError(Code.unimplemented, `unknown method ${path}`);
    const late = Promise.withResolvers<never>();
    const timeout = timeoutOf(fieldOf(fields, "grpc-timeout"));
    if (timeout !== undefined) {
      deadline = setTimeout(
        () => late.reject(new RpcError(Code.deadlineExceeded, "context deadline exceeded")),
        Math.min(timeout, 2 ** 31 - 1),
      );
    }
    stream.sendHeaders(response, false);
    responded = true;
    await Promise.race([service.serve(stream, metadataOf(fields)), late.promise]);
    stream.end(["grpc-status", "0"]);
  } catch (error) {
    const status = statusOf(error);
    if (status.code === Code.unknown) log.debug("rpc failed", { path, error: messageOf(error) });
    const told = Object.entries(statusFields(status)).flat();
    if (responded) stream.end(told);
    else stream.sendHeaders([...response, ...told], true);
  } finally {
    clearTimeout(deadline);
    dismiss(stream);
  }
}

const response: Fields = [":status", "200", "content-type", "application/grpc"];

/** What the caller still sends is not wanted. */
function dismiss(stream: Http2Stream): void {
  stream.resume();
  if (stream.remoteEnded || stream.closed) return;
  setTimeout(() => stream.reset(Reason.none), unwantedMs).unref();
}

function fieldOf(fields: Fields, name: string): string | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
