import type { HealthRecord } from "../containers/record.ts";
import type { HealthCheck } from "./config.ts";

export interface ProbeResult {
  /** RFC 3339. */
  readonly start: string;
  readonly end: string;
  /** -1 when it timed out or could not be run. */
  readonly exitCode: number;
  readonly output: string;
}

const keptResults = 5;

export const startingHealth: HealthRecord = { status: "starting", failingStreak: 0, log: [] };

/**
 * What a result makes of a container's health: pure. A success is healthy at once; failures count up to the retries, but
 * not during the start period of a container that has not been healthy yet.
 */
export function judge(
  before: HealthRecord,
  result: ProbeResult,
  check: HealthCheck,
  sinceStartMs: number,
): HealthRecord {
  const log = [
    ...before.log,
    { Start: result.start, End: result.end, ExitCode: result.exitCode, Output: result.output },
  ].slice(-keptResults);
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  if (before.status === "starting" && sinceStartMs < check.startPeriodMs) return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  return { status: failingStreak >= check.retries ? "unhealthy" : before.status, failingStreak, log };
}

/** How long to wait before the next probe: the start interval applies while a container is starting up. */
export function probeDelayMs(health: HealthRecord, check: HealthCheck, sinceStartMs: number): number {
  const startingUp = health.status === "starting" && sinceStartMs < check.startPeriodMs;
  return startingUp ? Math.min(check.startIntervalMs, check.intervalMs) : check.intervalMs;
}
