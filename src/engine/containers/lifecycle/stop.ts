import { TugError } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { type ContainerRecord, isAlive, isRunning } from "../record.ts";
import { parseSignal, SIGKILL } from "../signals.ts";
import { callOffRestart, endsWithin, killAndWait, signalTask, stopSignalOf, thaw } from "./kill.ts";
import { inTurn } from "./turn.ts";
import { waitFor } from "./wait.ts";

export interface StopOptions {
  readonly signal: string | undefined;
  /** Seconds; negative waits for ever. */
  readonly timeout: number | undefined;
  /** Nobody asked for it: what the restart policy would do at boot stays as it was. */
  readonly withDaemon?: boolean;
}

/** `docker stop`: the stop signal, then SIGKILL when the time is over. */
export async function stopOnRequest(
  context: ContainerContext,
  reference: string,
  options: StopOptions,
): Promise<void> {
  const record = context.store.resolve(reference);
  if (!isRunning(record)) throw new TugError("not-modified", "container is already stopped");
  await inTurn(context, record, () => stopContainer(context, record, options));
  emitContainer(context, context.store.get(record.id) ?? record, "stop");
}

/**
 * Stops every container that runs, each after those that depend on it, for a daemon whose containers do not outlive it. Neither
 * the restart policy nor --rm acts on the exits: both do so when the daemon starts again.
 */
export async function stopWithDaemon(context: ContainerContext, seconds: number): Promise<void> {
  const running = [...context.store.list()].filter(isAlive);
  for (const { id } of running) context.live.of(id).restarting++;
  const ended = await Promise.allSettled(
    running.map((record) => {
      const own = record.definition.config.StopTimeout ?? context.defaults.stopTimeout;
      const timeout = seconds < 0 || (own >= 0 && own < seconds) ? own : seconds;
      const options = { signal: undefined, timeout, withDaemon: true };
      return inTurn(context, record, () => stopContainer(context, record, options));
    }),
  );
  for (const result of ended) {
    if (result.status === "rejected") context.log.error("stopping a container", { error: result.reason });
  }
}

/** Returns when the exit was handled. */
export async function stopContainer(
  context: ContainerContext,
  record: ContainerRecord,
  options: StopOptions,
): Promise<void> {
  const signal = options.signal ? parseSignal(options.signal) : stopSignalOf(record);
  const { config } = record.definition;
  const seconds = options.timeout ?? config.StopTimeout ?? context.defaults.stopTimeout;
  const waiting = await context.locks.run(record.id, async () => {
    const now = context.store.get(record.id);
    if (!now || !isRunning(now) || callOffRestart(context, now)) return undefined;
    if (!options.withDaemon) context.store.setState(now.id, { stoppedByUser: true });
    const { done } = waitFor(context, now, "not-running");
    await signalTask(context, now, signal);
    await thaw(context, now);
    return { done };
  });
  if (!waiting) return;
  if (seconds < 0) {
    await waiting.done;
    return;
  }
  if (await endsWithin(context, waiting.done, Math.min(seconds * 1000, 2 ** 31 - 1))) return;
  context.log.info("container did not stop in time, using SIGKILL", {
    id: record.id,
    seconds,
    signal: SIGKILL,
  });
  await killAndWait(context, record);
  if (options.withDaemon) context.store.setState(record.id, { stoppedByUser: record.state.stoppedByUser });
}
