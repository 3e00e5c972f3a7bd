import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../base/lib/clock.ts";
import { messageOf } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { type Position, SpoolCursor } from "../spool/cursor.ts";
import { RecordDecoder } from "../spool/records.ts";
import type { Spool } from "../spool/spool.ts";
import { LineAssembler, type LogMessage } from "./message.ts";

/** A connection to a log service. `send` resolves when the messages were handed over; after a throw it is not used again. */
export interface LogSink extends AsyncDisposable {
  send(messages: readonly LogMessage[]): Promise<void>;
}

export interface ForwarderDeps {
  readonly spool: Spool;
  readonly directory: string;
  readonly connect: (signal: AbortSignal) => Promise<LogSink>;
  readonly clock: Clock;
  readonly log: Log;
}

const firstRetryMs = 500;
const lastRetryMs = 30_000;
/** How long a removal waits for what is still to be sent. */
const drainMs = 5000;

/**
 * Reads a spool and hands its lines to a log service. Its place is kept on disk and moves only after a hand-over, so that a restart of the
 * daemon, or a service that is away, costs no line that the spool still holds; a crash may send the last batch twice.
 */
export class Forwarder implements AsyncDisposable {
  readonly #deps: ForwarderDeps;
  readonly #stop = new AbortController();
  readonly #file: string;
  readonly #running: Promise<void>;
  #sink: LogSink | undefined;
  #caughtUp = false;
  /** Stops of the container that were noticed. */
  #ends = 0;
  #failing = false;
  #settled: (() => void) | undefined;

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
    this.#file = join(deps.directory, "log-cursor.json");
    this.#running = this.#run();
  }

  /** Whether a forwarder has been here before. */
  static hasRun(directory: string): boolean {
    return readPosition(join(directory, "log-cursor.json")) !== undefined;
  }

  /** Resolves when all that is in the spool has been handed over, or when that is not to be expected soon. */
  async drain(): Promise<void> {
    if (this.#failing || this.#stop.signal.aborted) return;
    this.#caughtUp = false;
    this.#deps.spool.activity.notify();
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
    const limit = new AbortController();
    await Promise.race([settled, this.#deps.clock.sleep(drainMs, limit.signal).catch(() => undefined)]);
    limit.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#disconnect();
  }

  /** Forgets the place as well. */
  async remove(): Promise<void> {
    await this.drain();
    await this[Symbol.asyncDispose]();
    rmSync(this.#file, { force: true });
  }

  async #run(): Promise<void> {
    const { spool } = this.#deps;
    const { signal } = this.#stop;
    using _following = spool.follow();
    const start = readPosition(this.#file) ?? { seq: spool.firstSeq, offset: 0 };
    await using cursor = new SpoolCursor(spool, start);
    const assembler = new LineAssembler();
    this.#save(start);
    let delay = firstRetryMs;
    let batch: readonly LogMessage[] = [];
    while (!signal.aborted) {
      try {
        const seen = spool.activity.version;
        if (batch.length === 0) batch = await this.#next(cursor, assembler);
        if (batch.length > 0) {
          this.#sink ??= await this.#deps.connect(signal);
          await this.#sink.send(batch);
          batch = [];
        }
        // While a line is half held back, its beginning must be read again after a crash.
        if (assembler.idle) this.#save(cursor.position);
        delay = firstRetryMs;
        this.#failing = false;
        if (this.#caughtUp) {
          this.#settled?.();
          await spool.activity.wait(seen, signal);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#failing = true;
        this.#settled?.();
        this.#deps.log.warn("log messages cannot be delivered, trying again", { error: messageOf(error) });
        await this.#disconnect();
        await this.#deps.clock.sleep(delay, signal).catch(() => undefined);
        delay = Math.min(delay * 2, lastRetryMs);
      }
    }
  }

  /** The next lines; sets `caughtUp` when there are none. With the writer gone, a line without end is one too. */
  async #next(cursor: SpoolCursor, assembler: LineAssembler): Promise<readonly LogMessage[]> {
    const { ends } = this.#deps.spool;
    const lines = await cursor.next();
    this.#caughtUp = lines === undefined;
    if (!lines) {
      if (ends === this.#ends) return [];
      this.#ends = ends;
      return [...assembler.flush()];
    }
    const decoder = new RecordDecoder({ stdout: true, stderr: true, follow: false });
    const batch: LogMessage[] = [];
    for (const record of decoder.decode(lines)) batch.push(...assembler.add(record));
    return batch;
  }

  async #disconnect(): Promise<void> {
    const sink = this.#sink;
    this.#sink = undefined;
    try {
      await sink?.[Symbol.asyncDispose]();
    } catch (error) {
      this.#deps.log.debug("closing a log connection", { error: messageOf(error) });
    }
  }

  #save(position: Position): void {
    try {
      writeFileSync(`${this.#file}.tmp`, JSON.stringify(position), { mode: 0o600 });
      renameSync(`${this.#file}.tmp`, this.#file);
    } catch (error) {
      // Full disk or directory gone: at worst lines are sent twice after a crash.
      this.#deps.log.debug("log cursor not saved", { error: messageOf(error) });
    }
  }
}

function readPosition(file: string): Position | undefined {
  try {
    const { seq, offset } = JSON.parse(readFileSync(file, "utf8")) as Partial<Position>;
    return typeof seq === "number" && typeof offset === "number" ? { seq, offset } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
