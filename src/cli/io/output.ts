/** One of the process's output streams. Writes happen in order; awaiting one is back-pressure. */
export interface Output {
  write(chunk: string | Uint8Array): Promise<void>;
  readonly isTerminal: boolean;
  /** Terminal size; 0 x 0 when it is none. */
  size(): { readonly width: number; readonly height: number };
}

/**
 * Output on an open descriptor. Bun.write is the cheapest way to start with (process.stdout costs milliseconds) and leaves
 * the descriptor's flags alone, which a FileSink does not: it turns a pipe shared with other processes non-blocking. Large
 * chunks go through fs.write, which runs beside the event loop, so signals are served while a reader is slow.
 */
export class FdOutput implements Output {
  readonly #fd: 1 | 2;
  readonly #file: Bun.BunFile;
  #tail: Promise<void> = Promise.resolve();
  #terminal: boolean | undefined;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
    this.#file = fd === 1 ? Bun.stdout : Bun.stderr;
  }

  get isTerminal(): boolean {
    this.#terminal ??= (require("node:tty") as typeof import("node:tty")).isatty(this.#fd);
    return this.#terminal;
  }

  size(): { width: number; height: number } {
    const stream = this.#fd === 1 ? process.stdout : process.stderr;
    return this.isTerminal
      ? { width: stream.columns ?? 0, height: stream.rows ?? 0 }
      : { width: 0, height: 0 };
  }

  write(chunk: string | Uint8Array): Promise<void> {
    if (chunk.length === 0) return this.#tail;
    const after = this.#tail.then(() => this.#put(chunk));
    this.#tail = after.catch(() => undefined); // the writer that failed has seen it
    return after;
  }

  async #put(chunk: string | Uint8Array): Promise<void> {
    if (typeof chunk === "string" || chunk.length < 1024) {
      await Bun.write(this.#file, chunk);
      return;
    }
    const fs = require("node:fs") as typeof import("node:fs");
    for (let at = 0; at < chunk.length; ) {
      const from = at;
      at += await new Promise<number>((resolve, reject) => {
        fs.write(this.#fd, chunk, from, chunk.length - from, null, (error, wrote) => {
          if (!error) resolve(wrote);
          else if (error.code === "EAGAIN")
            setTimeout(resolve, 1, 0); // somebody else made it non-blocking
          else reject(error);
        });
      });
    }
  }
}
