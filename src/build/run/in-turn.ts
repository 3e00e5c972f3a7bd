import { abortable } from "../../base/lib/abort.ts";
import type { KeyedMutex } from "../../base/lib/mutex.ts";

/** Runs `section` when it is its turn; an abort ends the waiting, and afterwards is the section's own business. */
export async function inTurn<R>(
  locks: KeyedMutex,
  key: string,
  signal: AbortSignal,
  section: () => Promise<R>,
): Promise<R> {
  const turn = Promise.withResolvers<void>();
  const work = locks.run(key, async () => {
    signal.throwIfAborted();
    turn.resolve();
    return await section();
  });
  // Nobody waits for what was given up before its turn.
  work.catch(turn.reject);
  await abortable(turn.promise, signal);
  return await work;
}
