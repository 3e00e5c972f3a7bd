import type { Clock } from "../../base/lib/clock.ts";
import { isCode, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import { Signal } from "../../base/lib/signal.ts";
import type { Ingest } from "../../core/content/content.ts";
import type { BlobReader, BlobStorage } from "../storage/storage.ts";
import type { UpstreamBlob } from "./upstream.ts";

/** A transfer that breaks off goes on where it stopped, so many times without any progress in between. */
const attempts = 4;
const retryMs = 500;
const pieceSize = 256 * 1024;

interface Deps {
  readonly digest: Digest;
  readonly storage: BlobStorage;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Opens the blob at upstream from a byte on. */
  readonly open: (from: number) => Promise<UpstreamBlob>;
  /** Asks upstream for the size, where what it sends does not tell; undefined when it does not say at all. */
  readonly askSize: () => Promise<number | undefined>;
  /** Commits what was received, under the blob's lock, and records it. */
  readonly commit: (ingest: Ingest) => Promise<void>;
}

/**
 * One blob on its way from upstream into storage, and everybody who reads it meanwhile. Readers follow the bytes as they are written; the
 * last byte is held back until the digest has been checked, so that a client never takes a wrong blob for a whole one.
 */
export class Fill {
  readonly #deps: Deps;
  readonly #progress = new Signal();
  /** Held by a read of what is there, and by what ends the ingest. */
  readonly #turn = new Mutex();
  #ingest: Ingest | undefined;
  #size: number | undefined;
  #done = false;
  #failure: { readonly error: unknown } | undefined;
  /** Settles when the blob is in storage, or will not be. */
  readonly finished: Promise<void>;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.finished = this.#run().then(
      () => {
        this.#done = true;
        this.#progress.notify();
      },
      (error: unknown) => {
        this.#failure = { error };
        this.#progress.notify();
        throw error;
      },
    );
    this.finished.catch(() => undefined); // readers are told by `#failure`
  }

  /** Waits until the size is known, then gives a reader. Throws what upstream failed with. */
  async reader(signal: AbortSignal): Promise<BlobReader> {
    for (;;) {
      const seen = this.#progress.version;
      if (this.#failure) throw this.#failure.error;
      if (this.#done) return await this.#deps.storage.open(this.#deps.digest);
      if (this.#size !== undefined) break;
      await this.#progress.wait(seen, signal);
      signal.throwIfAborted();
    }
    const size = this.#size;
    return {
      size,
      pieces: (start, end) => this.#follow(start, end, size, signal),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async *#follow(start: number, end: number, size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(pieceSize);
    for (let at = start; at < end; ) {
      const seen = this.#progress.version;
      signal.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      if (this.#done) {
        await using whole = await this.#deps.storage.open(this.#deps.digest);
        yield* whole.pieces(at, end, signal);
        return;
      }
      const ready = Math.min(this.#ingest?.offset ?? 0, end, size - 1);
      const count =
        ready > at ? await this.#read(buffer.subarray(0, Math.min(pieceSize, ready - at)), at) : 0;
      if (count > 0) {
        yield buffer.subarray(0, count);
        at += count;
      } else await this.#progress.wait(seen, signal);
    }
  }

  async #read(into: Uint8Array, at: number): Promise<number> {
    using _turn = await this.#turn.lock();
    return (await this.#ingest?.read(into, at)) ?? 0;
  }

  async #run(): Promise<void> {
    const { storage, digest } = this.#deps;
    const ingest = await storage.begin(`cache-${digest}`);
    this.#ingest = ingest;
    let whole = false;
    try {
      await this.#receive(ingest);
      whole = true;
    } finally {
      using _turn = await this.#turn.lock();
      this.#ingest = undefined;
      if (whole) await this.#deps.commit(ingest);
      await ingest[Symbol.asyncDispose]();
    }
  }

  async #receive(ingest: Ingest): Promise<void> {
    const { clock, signal, open, digest } = this.#deps;
    for (let left = attempts; ; ) {
      const before = ingest.offset;
      try {
        using blob = await open(before);
        if (blob.from !== before) await ingest.reset();
        this.#size ??= blob.size ?? (await this.#deps.askSize());
        this.#progress.notify();
        for await (const chunk of blob.chunks) {
          if (this.#size !== undefined && ingest.offset + chunk.byteLength > this.#size) {
            await ingest.reset();
            throw new TugError("unavailable", `upstream sent more than the ${this.#size} bytes of ${digest}`);
          }
          await ingest.write(chunk);
          this.#progress.notify();
        }
        // Without a size the end of the body is the end of the blob; the digest tells.
        this.#size ??= ingest.offset;
        if (ingest.offset === this.#size) return;
        throw new TugError(
          "unavailable",
          `upstream ended ${digest} after ${ingest.offset} of ${this.#size} bytes`,
        );
      } catch (error) {
        if (signal.aborted || !isCode(error, "unavailable")) throw error;
        left = ingest.offset > before ? attempts : left - 1;
        if (left <= 0) throw error;
        await clock.sleep(retryMs, signal);
      }
    }
  }
}
