import { isCode, TugError } from "../../../base/lib/errors.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import type { Semaphore } from "../../../base/lib/semaphore.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { Ingest, Pieces } from "../../content/content.ts";
import { bodyChunks } from "../http/body.ts";
import type { Attempt } from "../http/retry.ts";
import type { SessionRequest } from "../http/session.ts";
import type { Exchange } from "../http/transport.ts";
import type { RangeSettings } from "../registry-config.ts";

export type Open = (request: Omit<SessionRequest, "path">) => Promise<Exchange>;

/** What somebody is fetching: bytes `at` to `to` of the blob, of which those from `from` on lie in a piece unless `direct`. */
interface Job {
  from: number;
  at: number;
  to: number;
  direct: boolean;
}

interface Deps {
  readonly blob: Descriptor;
  readonly ingest: Ingest;
  readonly pieces: Pieces;
  readonly open: Open;
  readonly settings: RangeSettings;
  /** Permits for connections beyond each blob's first, over all blobs. */
  readonly extras: Semaphore;
  readonly control: Attempt;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A cut connection that gained at least this much is progress; less could go on for ever. */
export const worthwhile = 64 * 1024;
/** Another connection must make the whole at least this much faster, or no more are opened. */
const gain = 1.2;
const copySize = 1024 * 1024;

/**
 * One attempt to bring what is missing of a large blob. It begins over one connection; while that is slow (a registry or a link that
 * limits each connection), others fetch ranges further on, which wait as pieces until the bytes in front of them are there, so that the
 * ingest hashes in order. A registry that does not answer a range with 206 is left with its one connection. Whoever runs out of work takes
 * half of what the slowest has left. Each byte that came is kept, also of ranges that were cut off.
 */
export class RangedTransfer {
  readonly #deps: Deps;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** Nobody's yet, in order. */
  #gaps: { from: number; to: number }[] = [];
  readonly #jobs = new Set<Job>();
  #workers = 0;
  /** Workers that may go on to another job. */
  #wanted = Number.POSITIVE_INFINITY;
  readonly #stored = new Map<number, number>();
  /** Everything that touches ingest or pieces, one after the other. */
  readonly #writing = new Mutex();
  #gained = 0;
  #failure: { readonly error: unknown } | undefined;
  readonly #done = Promise.withResolvers<void>();
  #mayGrow: boolean;
  readonly #speed = { since: 0, bytes: 0, best: 0, settling: false };

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#mayGrow = deps.settings.connections > 1;
    this.#signal = deps.signal ? AbortSignal.any([deps.signal, this.#stop.signal]) : this.#stop.signal;
  }

  /** Returns when the ingest has every byte, or when the registry's blob has ended before it should. */
  async run(): Promise<void> {
    const { blob, ingest, onProgress } = this.#deps;
    await this.#findPieces();
    onProgress?.(this.#held(), blob.size);
    if (ingest.offset >= blob.size) return;
    this.#speed.since = performance.now();
    this.#start(undefined, undefined);
    await this.#done.promise;
    this.#stop.abort();
    if (this.#failure) throw this.#failure.error;
  }

  /** What earlier attempts left, and the gaps between. */
  async #findPieces(): Promise<void> {
    const { blob, ingest, pieces } = this.#deps;
    for (const { from, size } of await pieces.list()) {
      const usable = size > 0 && from + size > ingest.offset && from + size <= blob.size;
      if (usable) this.#stored.set(from, size);
      else await pieces.remove(from);
    }
    await this.#absorb();
    let at = ingest.offset;
    for (const [from, size] of [...this.#stored].sort(([a], [b]) => a - b)) {
      if (from > at) this.#gaps.push({ from: at, to: from });
      at = Math.max(at, from + size);
    }
    if (at < blob.size) this.#gaps.push({ from: at, to: blob.size });
  }

  #held(): number {
    let held = this.#deps.ingest.offset;
    for (const [from, size] of this.#stored) held += Math.max(0, from + size - Math.max(from, held));
    return held;
  }

  /** Starts a worker, with a job whose answer has come already or with the next one there is. */
  #start(
    first: { readonly job: Job; readonly exchange: Exchange } | undefined,
    permit: Disposable | undefined,
  ) {
    this.#workers++;
    const work = async () => {
      using _permit = permit;
      try {
        if (first) await this.#fetch(first.job, first.exchange);
        for (let job = this.#next(); job && !this.#failure; job = this.#next())
          await this.#fetch(job, undefined);
      } catch (error) {
        // What others can still bring is not lost because of one connection.
        const ends =
          !isCode(error, "unavailable") && !isCode(error, "not-found") && !isCode(error, "internal");
        this.#mayGrow = false;
        if (ends || this.#workers === 1) this.#fail(error);
      } finally {
        this.#workers--;
        if (this.#workers === 0) this.#done.resolve();
      }
    };
    work().catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort(error);
  }

  /** The next range for a worker that has none: of what is nobody's, else half of the longest job. */
  #next(): Job | undefined {
    if (this.#workers > this.#wanted) return undefined;
    const gap = this.#gaps[0];
    if (gap) {
      const alone = this.#jobs.size === 0 && !this.#speed.settling && this.#speed.best === 0;
      const to = alone ? gap.to : Math.min(gap.to, gap.from + this.#rangeSize());
      const job = { from: gap.from, at: gap.from, to, direct: false };
      if (to === gap.to) this.#gaps.shift();
      else gap.from = to;
      return job;
    }
    const longest = this.#longest();
    if (!longest) return undefined;
    const middle = longest.at + Math.ceil((longest.to - longest.at) / 2);
    const job = { from: middle, at: middle, to: longest.to, direct: false };
    longest.to = middle;
    return job;
  }

  #longest(): Job | undefined {
    let found: Job | undefined;
    for (const job of this.#jobs) if (!found || job.to - job.at > found.to - found.at) found = job;
    return found && found.to - found.at >= 2 * this.#deps.settings.least ? found : undefined;
  }

  /** Long while much is left, so that few requests are made; short towards the end, so that all finish together. */
  #rangeSize(): number {
    const { least, most, connections } = this.#deps.settings;
    const left = this.#deps.blob.size - this.#held();
    return Math.min(most, Math.max(least, Math.ceil(left / (2 * connections))));
  }

  async #fetch(job: Job, opened: Exchange | undefined): Promise<void> {
    this.#jobs.add(job);
    const before = job.at;
    try {
      using exchange = opened ?? (await this.#openJob(job));
      for await (const chunk of bodyChunks(exchange)) {
        await this.#writing.run(() => this.#take(job, chunk));
        if (job.at >= job.to && job.to < this.#deps.blob.size) return;
        this.#consider();
      }
      if (job.at >= job.to) return;
      const { status, headers } = exchange.response;
      if (status === 200 && headers.get("content-length") !== null) {
        // It ended where its own head said: no other connection will bring more.
        throw this.#wrong(`it has ${job.at} bytes`);
      }
      if (job.at === before || headers.get("content-length") === null) {
        const { digest, size } = this.#deps.blob;
        throw new TugError("unavailable", `${digest}: unexpected EOF after ${job.at} of ${size} bytes`);
      }
    } finally {
      this.#jobs.delete(job);
      if (job.at < job.to && !this.#stop.signal.aborted) this.#gaps.unshift({ from: job.at, to: job.to });
    }
  }

  /** Writes a chunk where it belongs. */
  async #take(job: Job, chunk: Uint8Array): Promise<void> {
    const { blob, ingest, pieces, control, onProgress } = this.#deps;
    if (this.#signal.aborted) throw this.#signal.reason;
    // Somebody else has what lies behind, unless it is too much altogether: that is the ingest's to refuse.
    const part = job.to < blob.size ? chunk.subarray(0, Math.max(0, job.to - job.at)) : chunk;
    if (!job.direct && job.from === ingest.offset && job.at === job.from) job.direct = true;
    // Told before it is written: whoever shortens the job meanwhile must not take what this holds.
    job.at += part.byteLength;
    if (job.direct) await ingest.write(part);
    else {
      if (job.at > blob.size) {
        throw this.#wrong(`it is longer than ${blob.size} bytes`);
      }
      await pieces.append(job.from, part);
      this.#stored.set(job.from, job.at - job.from);
    }
    if (job.direct && job.at >= job.to) await this.#absorb();
    this.#gained += part.byteLength;
    this.#speed.bytes += part.byteLength;
    if (this.#gained >= worthwhile) control.progressed();
    onProgress?.(this.#held(), blob.size);
  }

  #wrong(difference: string): TugError {
    const { digest } = this.#deps.blob;
    return new TugError("data-loss", `filesystem layer verification failed for digest ${digest}`, {
      cause: new Error(difference),
    });
  }

  /** Appends the pieces whose turn has come. One that is still being fetched goes on in the ingest itself. */
  async #absorb(): Promise<void> {
    const { ingest, pieces } = this.#deps;
    const due = () => [...this.#stored].find(([from]) => from <= ingest.offset);
    for (let piece = due(); piece; piece = due()) {
      const [from, size] = piece;
      const buffer = new Uint8Array(Math.min(copySize, size));
      while (ingest.offset < from + size) {
        const read = await pieces.read(from, buffer, ingest.offset - from);
        if (read === 0) throw new TugError("internal", `a piece of ${this.#deps.blob.digest} became shorter`);
        await ingest.write(buffer.subarray(0, read));
      }
      await pieces.remove(from);
      this.#stored.delete(from);
      for (const job of this.#jobs) if (job.from === from) job.direct = job.at === ingest.offset;
    }
  }

  /** Adds a connection when the ones there are leave enough to wait for, as long as the last one has paid. */
  #consider(): void {
    const { settings, blob, extras } = this.#deps;
    const speed = this.#speed;
    const now = performance.now();
    if (now - speed.since < settings.window) return;
    const rate = speed.bytes / (now - speed.since);
    speed.since = now;
    speed.bytes = 0;
    if (!this.#mayGrow || this.#workers >= settings.connections || !extras.available) return;
    if (rate * 1000 > settings.fast || (blob.size - this.#held()) / rate < 6 * settings.window) return;
    if (speed.settling) {
      speed.settling = false;
      return;
    }
    if (rate < speed.best * gain) {
      // The last one has only cost: whoever is done first does not go on.
      this.#mayGrow = false;
      this.#wanted = this.#workers - 1;
      return;
    }
    this.#grow(rate).catch(() => {
      // No further connection, or no ranges: the ones there are go on.
      this.#mayGrow = false;
    });
  }

  /** Fetches from further on in the longest job, which is shortened once the registry has agreed to send a range. */
  async #grow(rate: number): Promise<void> {
    const longest = this.#longest();
    if (!longest) return;
    this.#mayGrow = false;
    const { extras, blob } = this.#deps;
    const permit = await extras.acquire(this.#signal);
    const from = Math.min(
      longest.at + this.#rangeSize(),
      longest.at + Math.ceil((longest.to - longest.at) / 2),
    );
    const job: Job = { from, at: from, to: Math.min(longest.to, from + this.#rangeSize()), direct: false };
    let exchange: Exchange;
    try {
      exchange = await this.#openRange(job, [206]);
    } catch (error) {
      permit[Symbol.dispose]();
      throw error;
    }
    const late = longest.at >= from || longest.to < job.to || !this.#jobs.has(longest);
    const ranged = isRange(exchange, job, blob.size);
    if (late || this.#stop.signal.aborted || !ranged) {
      this.#mayGrow = ranged;
      exchange[Symbol.dispose]();
      permit[Symbol.dispose]();
      return;
    }
    if (job.to < longest.to) this.#gaps.push({ from: job.to, to: longest.to });
    this.#gaps.sort((a, b) => a.from - b.from);
    longest.to = from;
    this.#speed.best = rate;
    this.#speed.settling = true;
    this.#mayGrow = true;
    this.#start({ job, exchange }, permit);
  }

  /** Asks for a job's bytes. Where ranges are refused, the last connection starts the whole blob again (RFC 9110, 14.2). */
  async #openJob(job: Job): Promise<Exchange> {
    const { blob, ingest, pieces, open } = this.#deps;
    const whole = { method: "GET", signal: this.#signal, allowDowngrade: true, expect: [200] } as const;
    if (job.at === 0 && job.to === blob.size) return await open(whole);
    const exchange = await this.#openRange(job, [200, 206, 416]);
    if (isRange(exchange, job, blob.size)) return exchange;
    if (exchange.response.status !== 200 || this.#jobs.size > 1) exchange[Symbol.dispose]();
    if (this.#jobs.size > 1)
      throw new TugError("unavailable", `${blob.digest}: the registry sends no ranges`);
    await pieces.clear();
    this.#stored.clear();
    await ingest.reset();
    this.#gaps = [];
    Object.assign(job, { from: 0, at: 0, to: blob.size, direct: false });
    this.#mayGrow = false;
    return exchange.response.status === 200 ? exchange : await open(whole);
  }

  async #openRange(job: Job, expect: readonly number[]): Promise<Exchange> {
    const last = job.to === this.#deps.blob.size ? "" : job.to - 1;
    return await this.#deps.open({
      method: "GET",
      signal: this.#signal,
      allowDowngrade: true,
      headers: { Range: `bytes=${job.at}-${last}` },
      expect,
    });
  }
}

/** True for the 206 that was asked for: the right first byte, of a blob of the right size (RFC 9110, 14.4). */
export function isRange(exchange: Exchange, job: Pick<Job, "at">, size: number): boolean {
  const { status, headers } = exchange.response;
  const range = /^bytes ([0-9]+)-([0-9]+)\/([0-9]+|\*)$/i.exec(headers.get("content-range") ?? "");
  if (status !== 206 || !range) return false;
  return Number(range[1]) === job.at && (range[3] === "*" || Number(range[3]) === size);
}
