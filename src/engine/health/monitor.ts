import { messageOf } from "../../base/lib/errors.ts";
import { parseRfc3339 } from "../../base/lib/timestamp.ts";
import type { ContainerContext } from "../containers/context.ts";
import { emitContainer } from "../containers/events.ts";
import type { ContainerRecord } from "../containers/record.ts";
import { actOnFailure } from "./act.ts";
import { type HealthCheck, healthCheckOf } from "./config.ts";
import { judge, type ProbeResult, probeDelayMs, startingHealth } from "./judge.ts";
import { planFailure } from "./on-failure.ts";

/** Runs a command in a container and collects its output; the exec service. */
export interface ProbeRunner {
  probe(
    record: ContainerRecord,
    command: readonly string[],
    options: { readonly timeoutMs: number; readonly outputLimit: number; readonly signal: AbortSignal },
  ): Promise<{ readonly exitCode: number; readonly output: string; readonly timedOut: boolean }>;
}

/** As much of a probe's output is kept, as in Docker. */
const outputLimit = 4096;

/** Starts the checks of a container that runs; undefined when it has none. Disposing stops them. */
export function watchHealth(
  context: ContainerContext,
  record: ContainerRecord,
  runner: ProbeRunner,
): Disposable | undefined {
  const check = healthCheckOf(record.definition.config);
  if (!check) return undefined;
  const abort = new AbortController();
  if (!record.state.health) context.store.setState(record.id, { health: startingHealth });
  loop(context, record, check, runner, abort.signal).catch((error: unknown) => {
    if (!abort.signal.aborted) context.log.error("health checks ended", { id: record.id, error });
  });
  return { [Symbol.dispose]: () => abort.abort() };
}

async function loop(
  context: ContainerContext,
  record: ContainerRecord,
  check: HealthCheck,
  runner: ProbeRunner,
  signal: AbortSignal,
): Promise<void> {
  const { id } = record;
  const startedMs = Number((parseRfc3339(record.state.startedAt) ?? 0n) / 1_000_000n);
  for (;;) {
    const health = context.store.get(id)?.state.health ?? startingHealth;
    const since = () => sinceStartMs(context, record, startedMs);
    await context.clock.sleep(probeDelayMs(health, check, since()), signal);
    const now = context.store.get(id);
    // A frozen container would only fail its checks.
    if (now?.state.status !== "running") continue;
    const result = await probe(context, now, check, runner, signal);
    if (signal.aborted) return;
    const before = context.store.get(id)?.state.health ?? startingHealth;
    const after = judge(before, result, check, since());
    // A disk that is full for a while must not end the checks for good.
    const changed = context.store.noteState(id, { health: after }, (error) =>
      context.log.warn("a health check's result could not be written", { id, error: messageOf(error) }),
    );
    if (after.status !== before.status) emitContainer(context, changed, `health_status: ${after.status}`);
    const plan = planFailure(check, after);
    if (!plan) continue;
    context.log.info("an unhealthy container is acted upon", { id, ...plan });
    // Not awaited with an eye on `signal`: the action ends this watch.
    await actOnFailure(context, changed, plan.action);
  }
}

/** By the monotonic clock when this daemon started it, which a jump of the wall clock does not disturb. */
function sinceStartMs(context: ContainerContext, record: ContainerRecord, startedMs: number): number {
  const started = context.live.of(record.id).startedMonotonic;
  if (started !== 0n) return Number((context.clock.monotonic() - started) / 1_000_000n);
  return Math.max(0, context.clock.now() - startedMs);
}

async function probe(
  context: ContainerContext,
  record: ContainerRecord,
  check: HealthCheck,
  runner: ProbeRunner,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const start = new Date(context.clock.now()).toISOString();
  const end = () => new Date(context.clock.now()).toISOString();
  try {
    const { exitCode, output, timedOut } = await runner.probe(record, check.command, {
      timeoutMs: check.timeoutMs,
      outputLimit,
      signal,
    });
    if (!timedOut) return { start, end: end(), exitCode, output };
    const prefix = output === "" ? "" : `: ${output}`;
    const text = `Health check exceeded timeout (${goSeconds(check.timeoutMs)})${prefix}`;
    return { start, end: end(), exitCode: -1, output: text };
  } catch (error) {
    return { start, end: end(), exitCode: -1, output: messageOf(error) };
  }
}

/** A duration as Go prints it, for the sizes that timeouts have. */
function goSeconds(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = (ms % 60_000) / 1000;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}
