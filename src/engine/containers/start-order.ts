import { messageOf } from "../../base/lib/errors.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import { holds } from "./condition.ts";
import type { ContainerContext } from "./context.ts";
import { orderedNeedsOf } from "./dependencies.ts";
import { scheduleRestart } from "./lifecycle/exit.ts";
import { type ContainerRecord, isAlive } from "./record.ts";
import { startContainer } from "./start/start.ts";

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
  const start = (record: ContainerRecord): Promise<void> => {
    const under = started.get(record.id);
    if (under) return under;
    const work = (async () => {
      for (const need of orderedNeedsOf(context.store, record)) {
        const other = wanted.get(need.id);
        if (other) await start(other);
        await holds(context, need);
      }
      await startOne(context, record);
    })();
    started.set(record.id, work);
    return work;
  };
  await Promise.all(records.map((record) => start(record)));
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
