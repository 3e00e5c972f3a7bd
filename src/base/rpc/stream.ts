import { FrameDecoder, FrameWriter } from "./framing.ts";
import type { Fields } from "./http2/hpack.ts";
import type { Http2Stream } from "./http2/stream.ts";
import type { Codec } from "./method.ts";
import { Code, RpcError } from "./status.ts";

/** One call's messages, as either side sees them. */
export interface RpcStream<In, Out> {
  /** The next message; undefined when the peer will send no more. Throws what the call failed with. */
  next(): Promise<In | undefined>;
  /** The next message if it is here already: where there are many, waiting for each takes longer than reading it. */
  nextNow(): In | undefined;
  /** Resolves when the peer keeps up; rejects when the call has ended. Need not be waited for each time: `next` says how the call ended. */
  send(message: Out): Promise<void>;
  /** Aborted when the call has ended. */
  readonly signal: AbortSignal;
  /** Bytes of the messages that `next` gave so far. */
  readonly received: number;
}

/** Unread messages past this many bytes make the peer wait. */
const highWater = 1 << 20;
/** Small messages leave together, in pieces of about this size. */
const batchBytes = 32 * 1024;
/** Largest message that is taken: what containerd and BuildKit allow on their side. */
export const maxMessageBytes = 16 * 1024 * 1024;
/** What is longer goes in pieces of this size: gRPC's default limit in Go is 4 MiB a message. */
export const pieceBytes = 1 << 20;

/** Both directions of one HTTP/2 stream as messages. How it ends is for who extends it: as it is, it is the side that is called. */
export class MessageStream<In, Out> implements RpcStream<In, Out> {
  readonly #stream: Http2Stream;
  readonly #input: Codec<In>;
  readonly #output: Codec<Out>;
  readonly #decoder: FrameDecoder;
  readonly #abort = new AbortController();
  #queue: Uint8Array[] = [];
  #at = 0;
  received = 0;
  #queued = 0;
  #paused = false;
  #ended = false;
  #failure: unknown;
  #waiting: { resolve(): void } | undefined;
  readonly #batch = new FrameWriter();
  #scheduled = false;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(stream: Http2Stream, input: Codec<In>, output: Codec<Out>, limit = maxMessageBytes) {
    this.#stream = stream;
    this.#input = input;
    this.#output = output;
    this.#decoder = new FrameDecoder(limit);
    stream.listen({
      headers: (fields) => this.onHeaders(fields),
      data: (chunk) => this.#received(chunk),
      end: () => this.onEnd(),
      drain: () => {
        this.#drained?.resolve();
        this.#drained = undefined;
      },
      close: () => this.onClose(),
    });
  }

  protected onHeaders(_fields: Fields): void {
    // A caller's trailers say nothing.
  }

  protected onEnd(): void {
    this.finish();
  }

  protected onClose(): void {
    this.fail(new RpcError(Code.cancelled, "context canceled"));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  async next(): Promise<In | undefined> {
    for (;;) {
      const message = this.nextNow();
      if (message !== undefined) return message;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting = { resolve };
      await promise;
    }
  }

  nextNow(): In | undefined {
    const message = this.#queue[this.#at];
    if (!message) return undefined;
    this.#take(message);
    return this.#decode(message);
  }

  send(message: Out): Promise<void> {
    if (this.#abort.signal.aborted || this.#stream.ended)
      return failed(this.#failure ?? new RpcError(Code.cancelled, "the call has ended"));
    if (!this.#output.writeTo?.(message, this.#batch))
      this.#batch.append(this.#output.encode(message).finish());
    if (this.#batch.length >= batchBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.flush());
    }
    return this.#drained?.promise ?? ready;
  }

  /** Hands over what waits to leave together. */
  flush(): void {
    this.#scheduled = false;
    if (this.#batch.length === 0) return;
    const bytes = this.#batch.take();
    if (this.#stream.ended) return;
    if (this.#stream.write(bytes) || this.#drained) return;
    this.#drained = Promise.withResolvers<void>();
    this.#drained.promise.catch(() => undefined); // whoever sends sees it
  }

  /** The peer will send no more. */
  finish(): void {
    if (this.#ended || this.#failure !== undefined) return;
    if (this.#decoder.incomplete) {
      this.fail(new RpcError(Code.internal, "grpc: the stream ended within a message"));
      return;
    }
    this.#ended = true;
    this.#waiting?.resolve();
  }

  /** The call is over: whoever waits learns why. Messages that came before can still be read. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#waiting?.resolve();
    this.#drained?.reject(this.#failure);
    this.#drained = undefined;
    this.close();
  }

  /** Tells those who hold the signal that the call has ended, and lets what still comes go. */
  close(): void {
    if (!this.#abort.signal.aborted)
      this.#abort.abort(this.#failure ?? new RpcError(Code.cancelled, "the call has ended"));
    if (this.#paused) this.#stream.resume();
    this.#paused = false;
  }

  #received(piece: Uint8Array): void {
    if (this.#abort.signal.aborted) return;
    // Messages are parts of it: they shall not keep alive what came for others beside it.
    const chunk = piece.length * 2 < piece.buffer.byteLength ? Buffer.from(piece) : piece;
    try {
      this.#decoder.push(chunk, (message) => {
        this.#queue.push(message);
        this.#queued += message.length + messageOverhead;
      });
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#queued > highWater && !this.#paused) {
      this.#paused = true;
      this.#stream.pause();
    }
    this.#waiting?.resolve();
  }

  #take(message: Uint8Array): void {
    this.#at++;
    this.received += message.length;
    this.#queued -= message.length + messageOverhead;
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    } else if (this.#at >= 4096) {
      this.#queue.splice(0, this.#at);
      this.#at = 0;
    }
    if (this.#paused && this.#queued < highWater / 2) {
      this.#paused = false;
      this.#stream.resume();
    }
  }

  #decode(message: Uint8Array): In {
    try {
      return this.#input.decode(message);
    } catch (cause) {
      const error = new RpcError(Code.internal, "grpc: a message cannot be decoded", [], cause);
      this.fail(error);
      throw error;
    }
  }
}

const ready = Promise.resolve();

/** A rejection that nobody has to look at. */
function failed(error: unknown): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(() => undefined); // as above
  return promise;
}

/** What an empty message costs in the queue. */
const messageOverhead = 64;
