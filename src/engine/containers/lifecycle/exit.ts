import { isCode } from "../../../base/lib/errors.ts";
import type { ContainerId } from "../../../base/lib/ids.ts";
import { formatRfc3339Nano, parseRfc3339 } from "../../../base/lib/timestamp.ts";
import type { TaskExit } from "../../../core/runtime/runtime.ts";
import { policyAtExit } from "../../health/on-failure.ts";
import { planRestart } from "../../restart/policy.ts";
import { holds } from "../condition.ts";
import type { ContainerContext } from "../context.ts";
import { orderedNeedsOf } from "../dependencies.ts";
import { emitContainer, emitVolume } from "../events.ts";
import { type ContainerRecord, type ContainerStateRecord, isAlive } from "../record.ts";
import { emitNetwork } from "../start/endpoints.ts";
import { unmountAll } from "../start/rootfs.ts";
import { startContainer } from "../start/start.ts";
import { removeContainer } from "./remove.ts";
import { outcomeOf } from "./wait.ts";

/** Called for every exit the monitor reports; waits its turn behind the operation that may be under way. */
export async function handleExit(context: ContainerContext, exit: TaskExit): Promise<void> {
  await context.locks.run(exit.id, async () => {
    const record = context.store.get(exit.id as ContainerId);
    if (record && isAlive(record)) await settleExit(context, record, exit);
  });
}

/** The kernel killed a process of the container for want of memory; the container itself may go on. */
export function handleOom(context: ContainerContext, id: string): void {
  const record = context.store.get(id as ContainerId);
  if (!record || !isAlive(record) || record.state.oomKilled) return;
  emitContainer(context, context.store.setState(record.id, { oomKilled: true }), "oom");
}

/**
 * A run is over: the exit is recorded, everything it held on the host is let go, and the restart policy or --rm decides what
 * follows. Recorded first, because the monitor's own record goes with the rest: a daemon killed in between knows the exit, and
 * from the endpoints that something is still to be let go. The caller holds the lock.
 */
export async function settleExit(
  context: ContainerContext,
  record: ContainerRecord,
  exit: Omit<TaskExit, "id">,
): Promise<void> {
  const live = context.live.of(record.id);
  live.health?.[Symbol.dispose]();
  live.health = undefined;
  const ranMs =
    live.startedMonotonic === 0n
      ? elapsedMs(record, exit.at)
      : Number((context.clock.monotonic() - live.startedMonotonic) / 1_000_000n);
  const plan =
    live.restarting > 0
      ? ({ restart: false, cause: "a restart is under way" } as const)
      : planRestart({
          policy: policyAtExit(record),
          exitCode: exit.exitCode,
          restartCount: record.state.restartCount,
          stoppedByUser: record.state.stoppedByUser,
          ranMs,
          lastBackoffMs: live.backoffMs,
        });
  const unwritten = (error: unknown) =>
    context.log.error("the exit of a container could not be written", { id: record.id, error });
  const exited: Partial<ContainerStateRecord> = {
    status: plan.restart ? "restarting" : "exited",
    pid: 0,
    exitCode: exit.exitCode,
    oomKilled: exit.oomKilled || record.state.oomKilled,
    finishedAt: formatRfc3339Nano(exit.at),
    // What is not checked any more is not healthy, says Docker; clients wait for that word.
    health: record.state.health && { ...record.state.health, status: "unhealthy" },
  };
  context.store.noteState(record.id, exited, unwritten);
  if (exit.oomKilled && !record.state.oomKilled) emitContainer(context, record, "oom");
  emitContainer(context, record, "die", {
    execDuration: String(Math.floor(ranMs / 1000)),
    exitCode: String(exit.exitCode),
  });
  await letGo(context, record);
  const ended = context.store.noteState(record.id, { endpoints: {} }, unwritten);
  context.log.debug("container exited", { id: record.id, exitCode: exit.exitCode, next: plan.cause });
  context.live.settle(record.id, "exited", outcomeOf(ended));
  if (plan.restart) {
    live.backoffMs = plan.delayMs;
    scheduleRestart(context, ended, plan.delayMs);
  } else if (record.definition.host.AutoRemove && live.restarting === 0) {
    await removeContainer(context, ended, { volumes: true });
  }
}

function elapsedMs(record: ContainerRecord, at: bigint): number {
  const started = parseRfc3339(record.state.startedAt) ?? at;
  return Math.max(0, Number((at - started) / 1_000_000n));
}

/** The host side of a run: runtime state, endpoints, mounts, log followers. Idempotent; a failure of one does not stop the rest. */
export async function letGo(context: ContainerContext, record: ContainerRecord): Promise<void> {
  const steps = [
    context.runtime.delete(record.id, { force: false }).then(async () => {
      await unmountAll(context, record);
      for (const mount of record.definition.mounts) {
        if (mount.type === "volume") emitVolume(context, record, mount, "unmount");
      }
    }),
    releaseEndpoints(context, record),
    context.live.of(record.id).log?.stopped() ?? Promise.resolve(),
  ];
  for (const result of await Promise.allSettled(steps)) {
    if (result.status === "rejected") {
      context.log.warn("cleaning up after a container", { id: record.id, error: result.reason });
    }
  }
}

/** Each by itself: one that cannot be let go, which the next start of the daemon tries again, must not keep the others. */
async function releaseEndpoints(context: ContainerContext, record: ContainerRecord): Promise<void> {
  for (const [name, endpoint] of Object.entries(record.state.endpoints)) {
    try {
      await context.networks.detach(endpoint);
      await context.networks.release(endpoint);
      emitNetwork(context, context.networks.resolve(endpoint.network), record, "disconnect");
    } catch (error) {
      const about = { id: record.id, network: name, error };
      if (isCode(error, "not-found")) context.log.debug("network of an ended container is gone", about);
      else context.log.warn("an endpoint of an ended container was not released", about);
    }
  }
}

/** Starts it again after the policy's wait, unless somebody stops, starts or removes it meanwhile. */
export function scheduleRestart(context: ContainerContext, record: ContainerRecord, delayMs: number): void {
  const live = context.live.of(record.id);
  const abort = new AbortController();
  live.restart?.abort();
  live.restart = abort;
  context.clock
    .sleep(delayMs, abort.signal)
    .then(() => neededAreUp(context, record, abort.signal))
    .then(() => context.locks.run(record.id, () => restartNow(context, record.id, abort.signal)))
    .catch((error: unknown) => {
      if (!abort.signal.aborted) context.log.error("restarting a container", { id: record.id, error });
    });
}

/**
 * What a container needs may have ended with it (who joins the PID namespace of one that ends ends, too) and be coming back by its own
 * policy, perhaps later: that is waited for, and what is about to become healthy where that is the condition.
 */
async function neededAreUp(
  context: ContainerContext,
  record: ContainerRecord,
  signal: AbortSignal,
): Promise<void> {
  for (const need of orderedNeedsOf(context.store, record)) {
    const state = context.store.get(need.id)?.state;
    const coming = state?.status === "restarting" || state?.health?.status === "starting";
    if (coming) await holds(context, need, signal);
  }
}

async function restartNow(context: ContainerContext, id: ContainerId, signal: AbortSignal): Promise<void> {
  const now = context.store.get(id);
  if (signal.aborted || now?.state.status !== "restarting") return;
  const restartCount = now.state.restartCount + 1;
  try {
    await startContainer(context, id, { restartCount });
  } catch (error) {
    context.log.warn("restarting a container failed", { id, error });
    const failed = context.store.setState(id, { restartCount });
    const live = context.live.of(id);
    // What it needs (a network, the container whose namespace it joins) may be on its way: the policy goes on.
    const plan = planRestart({
      policy: failed.definition.host.RestartPolicy,
      exitCode: failed.state.exitCode,
      restartCount,
      stoppedByUser: failed.state.stoppedByUser,
      ranMs: 0,
      lastBackoffMs: live.backoffMs,
    });
    if (!plan.restart) return;
    live.backoffMs = plan.delayMs;
    scheduleRestart(context, context.store.setState(id, { status: "restarting" }), plan.delayMs);
  }
}
