import type { LogReadOptions } from "../logging.ts";
import { endOf, type Position, SpoolCursor } from "./cursor.ts";
import type { Spool } from "./spool.ts";
import { tailPosition } from "./tail.ts";

/**
 * Whole spool lines as the options ask for them, `since` and `until` left to the caller except where they spare reading a generation. Without
 * `follow` it ends where the spool ended when it was called; with it, when the container has stopped and all was read, or on abort.
 */
export async function* readLines(spool: Spool, options: LogReadOptions): AsyncGenerator<Buffer> {
  const ends = spool.ends;
  const { signal } = options;
  if (signal?.aborted) return;
  using _following = options.follow ? spool.follow() : undefined;
  // Measured once: a clock that is set back meanwhile must not hold the reader for as long.
  const deadline =
    options.until === undefined
      ? undefined
      : performance.now() + Number(options.until / 1_000_000n) - Date.now() + 1;
  const end = await endOf(spool);
  const start = await startOf(spool, end, options);
  await using cursor = new SpoolCursor(spool, start);
  for (;;) {
    const seen = spool.activity.version;
    const stopped = spool.ends !== ends || spool.removed;
    const lines = await cursor.next(options.follow ? undefined : end);
    if (signal?.aborted) return;
    if (lines) {
      yield lines;
      if (signal?.aborted) return;
    } else {
      if (!options.follow || stopped || (deadline ?? Infinity) < performance.now()) return;
      await waitForMore(spool, seen, { signal, deadline });
      if (signal?.aborted) return;
    }
  }
}

async function startOf(spool: Spool, end: Position, options: LogReadOptions): Promise<Position> {
  if (options.tail !== undefined) return await tailPosition(spool, end, options.tail);
  let seq = spool.firstSeq;
  const { since } = options;
  // A generation whose last write lies before `since` holds nothing that is asked for.
  if (since !== undefined) {
    while (seq < end.seq && BigInt(Math.ceil(spool.modified(seq) ?? 0)) * 1_000_000n < since)
      seq = spool.after(seq);
  }
  return { seq, offset: 0 };
}

/** Until something is written, the container stops, the deadline (of performance.now) passes, or the reader goes away. */
async function waitForMore(
  spool: Spool,
  seen: number,
  ends: { readonly signal: AbortSignal | undefined; readonly deadline: number | undefined },
): Promise<void> {
  if (ends.deadline === undefined) return await spool.activity.wait(seen, ends.signal);
  const left = ends.deadline - performance.now();
  const timeout = AbortSignal.timeout(Math.ceil(Math.min(Math.max(left, 0), 2_000_000_000)));
  const either = ends.signal ? AbortSignal.any([ends.signal, timeout]) : timeout;
  await spool.activity.wait(seen, either);
}
