import type { RawStream, ReplyStream } from "../base/http/exchange.ts";
import { stdcopyHeader } from "../base/lib/stdcopy.ts";
import type { StreamClient } from "./backend.ts";
import type { Call } from "./call.ts";

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
  #tty = false;

  constructor(call: Call) {
    this.call = call;
    this.signal = call.exchange.signal;
  }

  begin(options: { readonly tty: boolean }): void {
    this.#tty = options.tty;
    this.start(options.tty);
  }

  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return Promise.resolve();
    if (this.#tty) return this.writeEncoded(bytes);
    return this.writeFrame(stdcopyHeader(stream, bytes.length), bytes);
  }

  abstract writeEncoded(bytes: Uint8Array): Promise<void>;
  protected abstract start(tty: boolean): void;
  protected abstract writeFrame(header: Uint8Array, payload: Uint8Array): Promise<void>;
}

/** attach and exec: the connection stops being HTTP. */
export class HijackedClient extends FramingClient {
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  readonly #wantsStdin: boolean;
  readonly #begun = Promise.withResolvers<void>();
  #raw: RawStream | undefined;

  constructor(call: Call, options: { readonly stdin: boolean }) {
    super(call);
    this.#wantsStdin = options.stdin;
    this.stdin = options.stdin ? this.#input() : undefined;
  }

  get begun(): boolean {
    return this.#raw !== undefined;
  }

  writeEncoded(bytes: Uint8Array): Promise<void> {
    return this.#stream().write(bytes);
  }

  protected start(tty: boolean): void {
    const { exchange } = this.call;
    const upgrade = exchange.headers.has("upgrade");
    this.#raw = upgrade
      ? exchange.hijack(101, {
          "Content-Type": streamType(this.call, tty),
          Connection: "Upgrade",
          Upgrade: "tcp",
          ...this.call.headers,
        })
      : exchange.hijack(200, { "Content-Type": rawType, ...this.call.headers });
    if (!this.#wantsStdin) this.#raw.ignoreInput();
    this.#begun.resolve();
  }

  protected writeFrame(header: Uint8Array, payload: Uint8Array): Promise<void> {
    return this.#stream().write2(header, payload);
  }

  /** The backend may take and read it before it calls `begin`: reading waits for that. */
  #input(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          await this.#begun.promise;
          const bytes = await this.#raw?.next();
          if (bytes) controller.enqueue(bytes);
          else controller.close();
        },
        cancel: () => this.#raw?.ignoreInput(),
      },
      { highWaterMark: 0 },
    );
  }

  #stream(): RawStream {
    if (!this.#raw) throw new Error("write before begin");
    return this.#raw;
  }
}

/** logs: an ordinary reply that goes on. */
export class ReplyClient extends FramingClient {
  readonly stdin = undefined;
  #reply: ReplyStream | undefined;

  get begun(): boolean {
    return this.#reply !== undefined;
  }

  writeEncoded(bytes: Uint8Array): Promise<void> {
    if (!this.#reply) throw new Error("write before begin");
    return this.#reply.write(bytes);
  }

  protected start(tty: boolean): void {
    this.#reply = this.call.exchange.stream(200, {
      ...this.call.headers,
      "Content-Type": streamType(this.call, tty),
    });
  }

  protected writeFrame(header: Uint8Array, payload: Uint8Array): Promise<void> {
    const frame = new Uint8Array(header.length + payload.length);
    frame.set(header);
    frame.set(payload, header.length);
    return this.writeEncoded(frame);
  }
}
