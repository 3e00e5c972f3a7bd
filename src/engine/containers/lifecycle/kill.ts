import { conflict, internal, isCode } from "../../../base/lib/errors.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import type { ExitOutcome } from "../live.ts";
import { type ContainerRecord, isAlive, isRunning } from "../record.ts";
import { parseSignal, SIGKILL, SIGTERM } from "../signals.ts";
import { waitFor } from "./wait.ts";

/** `docker kill`: SIGKILL waits for the end, any other signal is only sent. */
export async function killOnRequest(
  context: ContainerContext,
  reference: string,
  signalText: string | undefined,
): Promise<void> {
  const signal = signalText ? parseSignal(signalText) : SIGKILL;
  const record = context.store.resolve(reference);
  if (!isAlive(record)) {
    throw conflict(`container ${record.id} is not running`);
  }
  if (signal === SIGKILL) {
    await killAndWait(context, record);
    return;
  }
  const done = await context.locks.run(record.id, async () => {
    const now = context.store.resolve(record.id);
    if (!isAlive(now)) {
      throw conflict(`container ${record.id} is not running`);
    }
    // The container's own stop signal means that the stop is wanted: no restart policy afterwards.
    if (signal === stopSignalOf(now)) context.store.setState(now.id, { stoppedByUser: true });
    await signalTask(context, now, signal);
    return true;
  });
  if (!done) context.log.debug("signal had nobody to go to", { id: record.id });
}

export function stopSignalOf(record: ContainerRecord): number {
  const text = record.definition.config.StopSignal;
  return text ? parseSignal(text) : SIGTERM;
}

/** Sends a signal and announces it; the caller holds the lock. One that raced with the exit is no error. */
export async function signalTask(
  context: ContainerContext,
  record: ContainerRecord,
  signal: number,
): Promise<void> {
  try {
    await context.runtime.kill(record.id, signal);
  } catch (error) {
    if (!isCode(error, "conflict") && !isCode(error, "not-found")) throw error;
  }
  emitContainer(context, record, "kill", { signal: String(signal) });
}

/** Docker gives up on a container that SIGKILL does not end (a process that hangs in the kernel) after as long. */
const killPatienceMs = 10_000;

/** SIGKILL on request, then waits until the exit was handled. A waiting restart is called off. */
export async function killAndWait(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const waiting = await context.locks.run(record.id, async () => {
    const now = context.store.get(record.id);
    if (!now || !isRunning(now)) return undefined;
    if (callOffRestart(context, now)) return undefined;
    context.store.setState(now.id, { stoppedByUser: true });
    const { done } = waitFor(context, now, "not-running");
    await signalTask(context, now, SIGKILL);
    await thaw(context, now);
    // In an object: a bare promise would be awaited with the lock held, which the exit needs.
    return { done };
  });
  if (waiting && !(await endsWithin(context, waiting.done, killPatienceMs)))
    throw internal("tried to kill container, but did not receive an exit event");
}

/** False when the time was over first. */
export async function endsWithin(
  context: ContainerContext,
  done: Promise<ExitOutcome>,
  ms: number,
): Promise<boolean> {
  const timer = new AbortController();
  const timedOut = context.clock.sleep(ms, timer.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([done.then(() => true), timedOut]);
  } finally {
    timer.abort();
  }
}

/** Between two runs of its restart policy a container has no process: stopping it is forgetting the next run. */
export function callOffRestart(context: ContainerContext, record: ContainerRecord): boolean {
  if (record.state.status !== "restarting") return false;
  const live = context.live.of(record.id);
  live.restart?.abort();
  live.restart = undefined;
  const stopped = context.store.setState(record.id, { status: "exited", stoppedByUser: true });
  context.live.settle(record.id, "exited", { StatusCode: stopped.state.exitCode });
  return true;
}

/** A frozen process takes no signal: a paused container is resumed so that it can end. */
export async function thaw(context: ContainerContext, record: ContainerRecord): Promise<void> {
  if (record.state.status !== "paused") return;
  try {
    await context.runtime.resume(record.id);
  } catch (error) {
    if (!isCode(error, "conflict") && !isCode(error, "not-found")) throw error;
  }
  context.store.setState(record.id, { status: "running" });
}
