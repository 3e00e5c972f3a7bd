import { healthCheckOf } from "../health/config.ts";
import type { ContainerContext } from "./context.ts";
import type { Needed } from "./dependencies.ts";
import { type ContainerRecord, isAlive, isRunning } from "./record.ts";

/** Longer than this nobody is waited for: the dependant starts anyway, as it did before it had a dependency. */
const patienceMs = 5 * 60_000;

/** Waits until the condition holds, cannot hold any more, or patience ends; also when the signal says that nobody wants to know. */
export async function holds(context: ContainerContext, need: Needed, signal?: AbortSignal): Promise<void> {
  const late = AbortSignal.timeout(patienceMs);
  const patience = signal ? AbortSignal.any([late, signal]) : late;
  for (;;) {
    const seen = context.store.changed.version;
    const record = context.store.get(need.id);
    if (!record || settled(record, need.condition)) return;
    if (signal?.aborted) return;
    if (patience.aborted) {
      context.log.warn(
        "a container that others depend on is not ready; they start all the same",
        need as never,
      );
      return;
    }
    await context.store.changed.wait(seen, patience);
  }
}

/** The condition is met, or waiting is of no use. */
function settled(record: ContainerRecord, condition: Needed["condition"]): boolean {
  switch (condition) {
    case "started":
      return isAlive(record) || !isRunning(record);
    case "healthy":
      return (
        !isRunning(record) ||
        healthCheckOf(record.definition.config) === undefined ||
        record.state.health?.status === "healthy"
      );
    case "completed":
      return !isRunning(record);
  }
}
