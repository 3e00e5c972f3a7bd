import { messageOf } from "../../base/lib/errors.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import { healthCheckOf } from "../health/config.ts";
import type { ContainerContext } from "./context.ts";
import { type Needed, needsOf } from "./dependencies.ts";
import { scheduleRestart } from "./lifecycle/exit.ts";
import { type ContainerRecord, isAlive, isRunning } from "./record.ts";
import { startContainer } from "./start/start.ts";

/** Longer than this nobody is waited for at boot: the dependant starts anyway, as it did before it had a dependency. */
const patienceMs = 5 * 60_000;
const retryMs = 1000;

/**
 * Starts containers at boot, each after those it needs: see `needsOf`. Containers that need nothing of each other start side by side.
 */
export async function startInOrder(
  context: ContainerContext,
  records: readonly ContainerRecord[],
): Promise<void> {
  const wanted = new Map(records.map((record) => [record.id, record]));
  const started = new Map<ContainerId, Promise<void>>();
  const start = (record: ContainerRecord, above: ReadonlySet<ContainerId>): Promise<void> => {
    const under = started.get(record.id);
    if (under) return under;
    const path = new Set([...above, record.id]);
    const needs = needsOf(context.store, record.definition.host, record.id);
    const work = (async () => {
      for (const need of needs) {
        const other = wanted.get(need.id);
        // A circle has no order: whoever closes it does not wait.
        if (path.has(need.id)) continue;
        if (other) await start(other, path);
        await holds(context, need);
      }
      await startOne(context, record);
    })();
    started.set(record.id, work);
    return work;
  };
  await Promise.all(records.map((record) => start(record, new Set())));
}

/** Waits until the condition holds, cannot hold any more, or patience ends. */
async function holds(context: ContainerContext, need: Needed): Promise<void> {
  const patience = AbortSignal.timeout(patienceMs);
  for (;;) {
    const seen = context.store.changed.version;
    const record = context.store.get(need.id);
    if (!record || settled(record, need.condition)) return;
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

async function startOne(context: ContainerContext, { id }: ContainerRecord): Promise<void> {
  await context.locks.run(id, async () => {
    const now = context.store.get(id);
    if (!now || isAlive(now)) return;
    const again = now.state.status === "restarting";
    try {
      await startContainer(context, id, again ? { restartCount: now.state.restartCount + 1 } : {});
    } catch (error) {
      context.log.error("could not start a container at boot", { id, error: messageOf(error) });
      // Its policy had begun to restart it before the daemon went away, and goes on.
      if (again) scheduleRestart(context, context.store.setState(id, { status: "restarting" }), retryMs);
    }
  });
}
