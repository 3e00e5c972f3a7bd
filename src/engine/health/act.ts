import { isCode } from "../../base/lib/errors.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import { signalTask, stopSignalOf, thaw } from "../containers/lifecycle/kill.ts";
import { stopContainer } from "../containers/lifecycle/stop.ts";
import { waitFor } from "../containers/lifecycle/wait.ts";
import { type ContainerRecord, isAlive } from "../containers/record.ts";
import { SIGKILL } from "../containers/signals.ts";
import type { FailureAction } from "./on-failure.ts";

/**
 * Does what was planned for an unhealthy container. `stop` is a stop for good. `kill` ends it, and its restart policy takes
 * over; `restart` ends it in good order, and it comes back whatever its policy (see `policyAtExit`).
 */
export async function actOnFailure(
  context: ContainerContext,
  record: ContainerRecord,
  action: FailureAction,
): Promise<void> {
  try {
    switch (action) {
      case "stop":
        await stopContainer(context, record, { signal: undefined, timeout: undefined });
        emitContainer(context, context.store.get(record.id) ?? record, "stop");
        return;
      case "kill":
        await signalAndWait(context, record, SIGKILL, -1);
        return;
      case "restart": {
        const seconds = record.definition.config.StopTimeout ?? context.defaults.stopTimeout;
        if (await signalAndWait(context, record, stopSignalOf(record), seconds)) return;
        await signalAndWait(context, record, SIGKILL, -1);
      }
    }
  } catch (error) {
    // It went away meanwhile and needs nothing.
    if (isCode(error, "not-found") || isCode(error, "conflict")) return;
    context.log.error("acting on an unhealthy container", { id: record.id, action, error });
  }
}

/** Not a stop on request: a policy still applies. False when the container lives on after `seconds`; negative: for ever. */
async function signalAndWait(
  context: ContainerContext,
  record: ContainerRecord,
  signal: number,
  seconds: number,
): Promise<boolean> {
  const waiting = await context.locks.run(record.id, async () => {
    const now = context.store.get(record.id);
    // Another run of it is not the one that was found unhealthy.
    if (!now || !isAlive(now) || now.state.startedAt !== record.state.startedAt) return undefined;
    const { done } = waitFor(context, now, "next-exit");
    await signalTask(context, now, signal);
    await thaw(context, now);
    return { done };
  });
  if (!waiting) return true;
  if (seconds < 0) {
    await waiting.done;
    return true;
  }
  const timer = new AbortController();
  const timeout = context.clock.sleep(seconds * 1000, timer.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([waiting.done.then(() => true), timeout]);
  } finally {
    timer.abort();
  }
}
