import type { RawStream } from "../base/http/exchange.ts";
import type { Call } from "./call.ts";
import { FrameBatch, type Sink } from "./frame-batch.ts";

/** The other end of a hijacked or streamed connection. Writing waits for the peer (backpressure). */
export interface StreamClient {
  /** What the client sends; undefined when it did not ask for stdin. Ends at half-close. */
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  /** Framed as stdcopy or raw by the route, as the container has no or a TTY (`begin` says which). */
  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void>;
  /** Bytes that are encoded already (framed or raw as announced with `begin`). */
  writeEncoded(bytes: Uint8Array): Promise<void>;
  /** Sends the response head (101 or 200). Errors thrown before it become a JSON error reply. */
  begin(options: { readonly tty: boolean }): void;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
}

const rawType = "application/vnd.docker.raw-stream";
const multiplexedType = "application/vnd.docker.multiplexed-stream";

/** Before 1.42 every stream called itself raw, framed or not. */
function streamType(call: Call, tty: boolean): string {
  return !tty && call.version >= 42 ? multiplexedType : rawType;
}

/** Frames (or not) what goes to a client, once `begin` has sent the head. */
abstract class FramingClient implements StreamClient {
  abstract readonly stdin: ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal;
  protected readonly call: Call;
  #out: { readonly sink: Sink; readonly batch: FrameBatch } | undefined;

  constructor(call: Call) {
    this.call = call;
    this.signal = call.exchange.signal;
  }

  get begun(): boolean {
    return this.#out !== undefined;
  }

  begin({ tty }: { readonly tty: boolean }): void {
    const sink = this.start(tty);
    this.#out = { sink, batch: new FrameBatch(sink, !tty) };
  }

  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    return this.#begun().batch.write(stream, bytes);
  }

  async writeEncoded(bytes: Uint8Array): Promise<void> {
    const { sink, batch } = this.#begun();
    await batch.flush();
    await sink.write(bytes);
  }

  /** Sends what is still held, and the head if there was nothing to send; the route calls it last. */
  async finish(tty: boolean): Promise<void> {
    if (!this.begun) this.begin({ tty });
    // A client that has gone needs nothing more.
    if (!this.signal.aborted) await this.#begun().batch.flush();
  }

  /** Sends the head. */
  protected abstract start(tty: boolean): Sink;

  #begun(): { readonly sink: Sink; readonly batch: FrameBatch } {
    if (!this.#out) throw new Error("write before begin");
    return this.#out;
  }
}

/** attach and exec: the connection stops being HTTP. */
export class HijackedClient extends FramingClient {
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  readonly #wantsStdin: boolean;
  readonly #raw = Promise.withResolvers<RawStream>();

  constructor(call: Call, options: { readonly stdin: boolean }) {
    super(call);
    this.#wantsStdin = options.stdin;
    this.stdin = options.stdin ? this.#input() : undefined;
  }

  protected start(tty: boolean): Sink {
    const { exchange } = this.call;
    const upgrade = exchange.headers.has("upgrade");
    const raw = upgrade
      ? exchange.hijack(101, {
          "Content-Type": streamType(this.call, tty),
          Connection: "Upgrade",
          Upgrade: "tcp",
          ...this.call.headers,
        })
      : exchange.hijack(200, { "Content-Type": rawType, ...this.call.headers });
    if (!this.#wantsStdin) raw.ignoreInput();
    this.#raw.resolve(raw);
    return raw;
  }

  /** The backend may take and read it before it calls `begin`: reading waits for that. */
  #input(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const bytes = await (await this.#raw.promise).next();
          if (bytes) controller.enqueue(bytes);
          else controller.close();
        },
        cancel: async () => (await this.#raw.promise).ignoreInput(),
      },
      { highWaterMark: 0 },
    );
  }
}

/** logs: an ordinary reply that goes on. */
export class ReplyClient extends FramingClient {
  readonly stdin = undefined;

  protected start(tty: boolean): Sink {
    const reply = this.call.exchange.stream(200, {
      ...this.call.headers,
      "Content-Type": streamType(this.call, tty),
    });
    return {
      write: (bytes) => reply.write(bytes),
      write2: (head, body) => reply.write(Buffer.concat([head, body])),
    };
  }
}
