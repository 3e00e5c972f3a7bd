import { closeSync } from "node:fs";
import { adoptSocket } from "../../../../base/sys/net/fd-socket.ts";
import { streamSocketPair } from "../../../../base/sys/net/seqpacket.ts";

/** One line of conmon's sync pipe: `data` is a pid, an exit code or, negative, a failure that `message` explains. */
export interface SyncMessage {
  readonly data: number;
  readonly message: string;
}

/**
 * A pipe of conmon's (api-version 1) start protocol, as a socket pair. conmon finds `theirs` by the number in an
 * environment variable (_OCI_SYNCPIPE, _OCI_ATTACHPIPE, _OCI_STARTPIPE); ours reads its JSON lines and writes start bytes.
 */
export class SyncPipe implements Disposable {
  readonly theirs: number;
  readonly #ours: number;
  readonly #messages: SyncMessage[] = [];
  readonly #waiting: ((message: SyncMessage | undefined) => void)[] = [];
  #text = "";
  #state: "pair" | "open" | "ended" = "pair";
  #socket: { write(data: string): number; terminate(): void } | undefined;

  constructor() {
    [this.#ours, this.theirs] = streamSocketPair();
  }

  /** Closes the child's end here and begins to read; call when the child has been spawned. */
  async open(): Promise<void> {
    this.#state = "open";
    closeSync(this.theirs);
    const decoder = new TextDecoder();
    const end = () => this.#end();
    this.#socket = await adoptSocket(this.#ours, {
      data: (_socket, bytes) => this.#take(decoder.decode(bytes, { stream: true })),
      end,
      close: end,
      error: end,
    });
  }

  /** The next message; `undefined` when conmon went away without one. */
  next(): Promise<SyncMessage | undefined> {
    const message = this.#messages.shift();
    if (message || this.#state === "ended") return Promise.resolve(message);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** One byte for conmon's start pipe: each of its reads waits for one. */
  signal(): void {
    this.#socket?.write("\0");
  }

  [Symbol.dispose](): void {
    if (this.#state === "pair") {
      closeSync(this.theirs);
      closeSync(this.#ours);
    }
    this.#end();
    this.#socket?.terminate();
  }

  #take(text: string): void {
    this.#text += text;
    for (let at = this.#text.indexOf("\n"); at >= 0; at = this.#text.indexOf("\n")) {
      const message = parse(this.#text.slice(0, at));
      this.#text = this.#text.slice(at + 1);
      const waiter = this.#waiting.shift();
      if (waiter) waiter(message);
      else this.#messages.push(message);
    }
  }

  #end(): void {
    this.#state = "ended";
    for (const waiter of this.#waiting.splice(0)) waiter(undefined);
  }
}

/** conmon escapes what it can; a line that is no JSON all the same is a failure with that text. */
function parse(line: string): SyncMessage {
  try {
    const value = JSON.parse(line) as { data?: unknown; message?: unknown } | null;
    if (typeof value?.data === "number")
      return { data: value.data, message: typeof value.message === "string" ? value.message : "" };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { data: -1, message: line };
}
