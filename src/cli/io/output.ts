import { isTerminal, nodeFs } from "./builtin.ts";

/** One of the process's output streams. Writes keep their order. */
export interface Output {
  /** Takes a chunk; waits while too much is under way. A failure shows here or in `flush`. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** Resolves when everything taken so far has left the process. */
  flush(): Promise<void>;
  readonly isTerminal: boolean;
  /** Terminal size; 0 x 0 when it is none. */
  size(): { readonly width: number; readonly height: number };
}

/** Bytes that may be under way before a writer waits: reading and writing overlap up to here. */
const highWater = 1 << 20;

/**
 * Output on an open descriptor. Bun.write is the cheapest way to start with (process.stdout costs milliseconds) and leaves
 * the descriptor's flags alone, which a FileSink does not: it turns a pipe shared with other processes non-blocking. Large
 * amounts go through fs.writev, which runs beside the event loop, so signals are served while a reader is slow.
 */
export class FdOutput implements Output {
  readonly #fd: 1 | 2;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #pump: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #terminal: boolean | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  #other: FdOutput | undefined;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
  }

  /** Standard output and error, in one order where both lead to the same file (`2>&1`). */
  static pair(): { readonly out: FdOutput; readonly err: FdOutput } {
    const [out, err] = [new FdOutput(1), new FdOutput(2)];
    out.#other = err;
    err.#other = out;
    return { out, err };
  }

  get isTerminal(): boolean {
    this.#terminal ??= isTerminal(this.#fd);
    return this.#terminal;
  }

  size(): { width: number; height: number } {
    if (!this.isTerminal) return { width: 0, height: 0 };
    const stream = this.#fd === 1 ? process.stdout : process.stderr;
    return { width: stream.columns ?? 0, height: stream.rows ?? 0 };
  }

  get busy(): boolean {
    return this.#pump !== undefined;
  }

  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    if (chunk.length === 0) return;
    const other = this.#other;
    if (other?.busy) await other.flush().catch(() => undefined); // its own writers see it
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#pump ??= this.#run();
    if (this.#queued > highWater) {
      this.#drained ??= Promise.withResolvers();
      await this.#drained.promise;
      if (this.#failure) throw (this.#failure as { readonly error: unknown }).error;
    }
  }

  async flush(): Promise<void> {
    while (this.#pump) await this.#pump;
    if (this.#failure) throw this.#failure.error;
  }

  /** Writes until the queue is empty. Never rejects: what went wrong is kept for the writers. */
  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        const size = this.#queued;
        this.#queue = [];
        await this.#put(batch, size);
        this.#queued -= size;
        this.#release();
      }
    } catch (error) {
      this.#failure = { error };
      this.#queue = [];
      this.#queued = 0;
      this.#release();
    }
    this.#pump = undefined;
  }

  #release(): void {
    if (this.#queued > highWater) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  async #put(batch: Uint8Array[], size: number): Promise<void> {
    if (size < 8192) {
      await Bun.write(
        this.#fd === 1 ? Bun.stdout : Bun.stderr,
        batch.length === 1 && batch[0] ? batch[0] : Buffer.concat(batch),
      );
      return;
    }
    let rest = batch;
    for (let left = size; left > 0; ) {
      const wrote = await this.#writev(rest.slice(0, 512));
      left -= wrote;
      rest = skip(rest, wrote);
    }
  }

  #writev(pieces: Uint8Array[]): Promise<number> {
    const fs = nodeFs();
    return new Promise((resolve, reject) => {
      fs.writev(this.#fd, pieces, (error, wrote) => {
        if (!error) resolve(wrote);
        else if (error.code === "EAGAIN")
          setTimeout(resolve, 1, 0); // somebody else made it non-blocking
        else reject(error);
      });
    });
  }
}

/** What is left of the pieces behind the first `count` bytes. */
function skip(pieces: Uint8Array[], count: number): Uint8Array[] {
  let at = 0;
  let left = count;
  while (at < pieces.length && left >= (pieces[at]?.length ?? 0)) left -= pieces[at++]?.length ?? 0;
  const rest = pieces.slice(at);
  if (left > 0 && rest[0]) rest[0] = rest[0].subarray(left);
  return rest;
}
