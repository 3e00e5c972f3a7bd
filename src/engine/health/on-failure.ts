import { isCode } from "../../base/lib/errors.ts";
import type { ContainerContext } from "../containers/context.ts";
import { signalTask } from "../containers/lifecycle/kill.ts";
import { restartContainer } from "../containers/lifecycle/restart.ts";
import { stopContainer } from "../containers/lifecycle/stop.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { SIGKILL } from "../containers/signals.ts";

const asConfigured = { signal: undefined, timeout: undefined };

/**
 * `--health-on-failure`: `kill` leaves what follows to the restart policy, `stop` counts as a stop on request, `restart`
 * stops and starts whatever the policy. A container that went away meanwhile needs nothing.
 */
export async function actOnFailure(
  context: ContainerContext,
  record: ContainerRecord,
  action: "kill" | "restart" | "stop",
): Promise<void> {
  try {
    switch (action) {
      case "kill":
        await context.locks.run(record.id, async () => {
          const now = context.store.get(record.id);
          if (now && isAlive(now)) await signalTask(context, now, SIGKILL);
        });
        return;
      case "stop":
        return await stopContainer(context, record, asConfigured);
      case "restart":
        return await restartContainer(context, record, asConfigured);
    }
  } catch (error) {
    if (isCode(error, "not-found") || isCode(error, "conflict")) return;
    context.log.error("acting on an unhealthy container", { id: record.id, action, error });
  }
}
