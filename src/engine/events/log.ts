import type { Clock } from "../../base/lib/clock.ts";
import { invalid, isCode, messageOf } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import type { EventMessage } from "../../base/spec/docker/api.gen.ts";
import { type Database, migrate } from "../../base/store/database.ts";
import { readObject } from "../../base/store/unreadable.ts";
import type { Filters } from "../filters/filters.ts";
import { type EventPublisher, type NewEvent, type StoredEvent, toMessage } from "./event.ts";
import { eventMatches } from "./filter.ts";

const migrations = [
  `CREATE TABLE event (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     time INTEGER NOT NULL UNIQUE,
     type TEXT NOT NULL,
     action TEXT NOT NULL,
     actor TEXT NOT NULL,
     attributes TEXT NOT NULL
   );`,
];

export interface EventLogDeps {
  /** A file of its own: events are many and may be lost in a power cut, records may not. */
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Called after each event. */
  readonly published?: () => void;
  /** Bounds of the log; defaults 100,000 events and 7 days. */
  readonly maxEvents?: number;
  readonly maxAgeMs?: number;
}

export interface EventRange {
  /** Nanoseconds, inclusive. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
}

type Row = {
  seq: bigint;
  time: bigint;
  type: string;
  action: string;
  actor: string;
  attributes: string;
};

const batch = 256;
const pruneEvery = 1000;

/**
 * The durable event log. Readers hold a cursor into the table and are only woken when it grows: however slow one is, it
 * misses nothing that has not left the log's bounds, and costs no memory. Times are strictly increasing even when the clock
 * steps back, and are values that a JSON double prints exactly, so that a client's `--since <timeNano>` finds its place.
 */
export class EventLog implements EventPublisher {
  readonly #deps: EventLogDeps;
  readonly #insert;
  readonly #select;
  readonly #wakers = new Set<() => void>();
  #lastTime: bigint;
  #lastSeq: number;
  #listeners = 0;
  #sincePrune = 0;

  constructor(deps: EventLogDeps) {
    this.#deps = deps;
    migrate(deps.database, "events", migrations);
    this.#insert = deps.database.query(
      "INSERT INTO event (time, type, action, actor, attributes) VALUES (?, ?, ?, ?, ?) RETURNING seq",
    );
    this.#select = deps.database.prepare<Row, [bigint, number]>(
      "SELECT seq, CAST(time AS TEXT) AS time, type, action, actor, attributes FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
    );
    const last = deps.database
      .query<{ seq: number; time: string }, []>(
        "SELECT seq, CAST(time AS TEXT) AS time FROM event ORDER BY seq DESC LIMIT 1",
      )
      .get();
    const counter = deps.database
      .query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
      .get();
    this.#lastTime = BigInt(last?.time ?? "0");
    this.#lastSeq = Math.max(last?.seq ?? 0, counter?.seq ?? 0);
    this.#prune();
  }

  /** How many readers follow now (`info`'s NEventsListener). */
  get listeners(): number {
    return this.#listeners;
  }

  publish(event: NewEvent): void {
    try {
      const time = this.#nextTime();
      const row = this.#insert.get(
        time,
        event.type,
        event.action,
        event.id,
        JSON.stringify(event.attributes),
      ) as {
        seq: number;
      };
      this.#lastTime = time;
      this.#lastSeq = Number(row.seq);
      if (++this.#sincePrune >= pruneEvery) this.#prune();
    } catch (error) {
      // A full disk must not fail the operation that is being announced.
      this.#deps.log.error("event lost", { type: event.type, action: event.action, error: messageOf(error) });
    }
    for (const wake of [...this.#wakers]) wake();
    this.#deps.published?.();
  }

  /**
   * Events in the range that match, then live ones until `until` or the signal. With neither bound, only what comes from now on. The
   * cursor is taken when this is called, not at the first `next()`.
   */
  read(range: EventRange, filters: Filters, signal: AbortSignal): AsyncIterable<EventMessage> {
    const { since, until } = range;
    if (since !== undefined && until !== undefined && since > until) {
      throw invalid(
        `\`since\` time (${since / 1_000_000_000n}) cannot be after \`until\` time (${until / 1_000_000_000n})`,
      );
    }
    // Docker answers an `until` alone with everything it remembers up to then.
    const past = since !== undefined || until !== undefined;
    return this.#follow(past ? this.#seqBefore(since ?? 0n) : this.#lastSeq, until, filters, signal);
  }

  async *#follow(
    start: number,
    until: bigint | undefined,
    filters: Filters,
    signal: AbortSignal,
  ): AsyncGenerator<EventMessage> {
    let cursor = start;
    // Measured once, as Docker does: a clock that is set back meanwhile must not hold the reader for as long.
    const { clock } = this.#deps;
    const end =
      until === undefined
        ? undefined
        : clock.monotonic() + until - BigInt(Math.trunc(clock.now())) * 1_000_000n;
    this.#listeners++;
    try {
      for (;;) {
        for (let rows = this.#rows(cursor); rows.length > 0 && !signal.aborted; rows = this.#rows(cursor)) {
          for (const event of rows) {
            cursor = event.seq;
            if (until !== undefined && event.time > until) return;
            if (eventMatches(filters, event)) yield toMessage(event);
            if (signal.aborted) return;
          }
          // A filter that matches nothing of a long past must not hold up the daemon.
          await new Promise((resolve) => setImmediate(resolve));
        }
        // Times only increase: when one this late was given already, no earlier one will come.
        if (signal.aborted || (until !== undefined && until <= this.#lastTime)) return;
        if (!(await this.#grown(cursor, end, signal))) return;
      }
    } finally {
      this.#listeners--;
    }
  }

  #rows(after: number): readonly StoredEvent[] {
    return this.#select.all(BigInt(after), batch).map((row) => ({
      seq: Number(row.seq),
      time: BigInt(row.time),
      type: row.type as StoredEvent["type"],
      action: row.action,
      id: row.actor,
      attributes: attributesOf(row.attributes),
    }));
  }

  /** Waits for an event after `cursor`; false at monotonic time `end`, or when the reader went away. */
  #grown(cursor: number, end: bigint | undefined, signal: AbortSignal): Promise<boolean> {
    if (this.#lastSeq > cursor) return Promise.resolve(true);
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = (more: boolean) => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        signal.removeEventListener("abort", gone);
        resolve(more);
      };
      const wake = () => settle(true);
      const gone = () => settle(false);
      const arm = () => {
        if (end === undefined) return;
        const left = Number((end - this.#deps.clock.monotonic()) / 1_000_000n);
        if (left < 0) return settle(false);
        // setTimeout holds 31 bits; a far end is waited for in steps.
        timer = setTimeout(arm, Math.min(left + 1, 2_000_000_000));
      };
      this.#wakers.add(wake);
      signal.addEventListener("abort", gone, { once: true });
      arm();
    });
  }

  #seqBefore(since: bigint): number {
    const row = this.#deps.database
      .query<{ seq: number }, [bigint]>("SELECT seq FROM event WHERE time >= ? ORDER BY time LIMIT 1")
      .get(since);
    return row ? row.seq - 1 : this.#lastSeq;
  }

  #nextTime(): bigint {
    const now = BigInt(Math.trunc(this.#deps.clock.now() * 1000)) * 1000n;
    let time = now > this.#lastTime ? now : this.#lastTime + 1000n;
    let printed = asPrinted(time);
    while (printed <= this.#lastTime) {
      time += 1000n;
      printed = asPrinted(time);
    }
    return printed;
  }

  #prune(): void {
    this.#sincePrune = 0;
    const { database, clock, maxEvents = 100_000, maxAgeMs = 7 * 86_400_000 } = this.#deps;
    const oldest = BigInt(Math.trunc(clock.now() - maxAgeMs)) * 1_000_000n;
    database.query("DELETE FROM event WHERE seq <= ? OR time < ?").run(this.#lastSeq - maxEvents, oldest);
  }
}

/** The value a double of this size prints as; a double holds steps of 256 ns in this century. */
function asPrinted(time: bigint): bigint {
  return BigInt(String(Number(time)));
}

/** One that was damaged must not keep readers from those after it. */
function attributesOf(text: string): Record<string, string> {
  try {
    return readObject<Record<string, string>>(text);
  } catch (error) {
    if (isCode(error, "data-loss")) return {};
    throw error;
  }
}
