import { TugError } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import type { ExitOutcome, Waiter } from "../live.ts";
import { type ContainerRecord, isRunning } from "../record.ts";

/** Registers a wait; `done` settles when the condition comes true. */
export function waitFor(
  context: ContainerContext,
  record: ContainerRecord,
  condition: Waiter["condition"],
  signal?: AbortSignal,
): { readonly done: Promise<ExitOutcome> } {
  if (condition === "not-running" && !isRunning(record)) {
    return { done: Promise.resolve(outcomeOf(record)) };
  }
  const { promise, resolve, reject } = Promise.withResolvers<ExitOutcome>();
  const live = context.live.of(record.id);
  const waiter: Waiter = { condition, resolve };
  live.waiters.add(waiter);
  const stop = () => {
    live.waiters.delete(waiter);
    reject(new TugError("cancelled", "context canceled"));
  };
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop, { once: true });
  const done = promise.finally(() => signal?.removeEventListener("abort", stop));
  // Who asked may be gone before it looks at the promise.
  done.catch(() => undefined);
  return { done };
}

export function outcomeOf(record: ContainerRecord): ExitOutcome {
  const { exitCode, error } = record.state;
  return { StatusCode: exitCode, ...(error ? { Error: { Message: error } } : {}) };
}
