import type { Websocket } from "../base/http/websocket.ts";
import type { StreamClient } from "./stream-client.ts";

/** attach over a websocket: every write is a message, every message is stdin. */
export class WebsocketClient implements StreamClient {
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  readonly signal: AbortSignal;
  readonly #accept: () => Websocket;
  readonly #kind: "text" | "binary";
  readonly #begun = Promise.withResolvers<void>();
  #socket: Websocket | undefined;

  constructor(
    signal: AbortSignal,
    accept: () => Websocket,
    options: { readonly stdin: boolean; readonly binary: boolean },
  ) {
    this.signal = signal;
    this.#accept = accept;
    this.#kind = options.binary ? "binary" : "text";
    this.stdin = options.stdin ? this.#input() : undefined;
  }

  begin(): void {
    this.#socket = this.#accept();
    this.#begun.resolve();
  }

  write(_stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
    return this.writeEncoded(bytes);
  }

  async writeEncoded(bytes: Uint8Array): Promise<void> {
    if (!this.#socket) throw new Error("write before begin");
    await this.#socket.send(bytes, this.#kind);
  }

  async close(): Promise<void> {
    if (!this.#socket) this.begin();
    await this.#socket?.close(1000);
  }

  #input(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          await this.#begun.promise;
          const message = await this.#socket?.next();
          if (message) controller.enqueue(message);
          else controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  }
}
