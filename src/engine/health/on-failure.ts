import type { RestartPolicy } from "../../base/spec/docker/api.gen.ts";
import type { ContainerRecord, HealthRecord } from "../containers/record.ts";
import { type HealthCheck, healthCheckOf } from "./config.ts";

export type FailureAction = Exclude<HealthCheck["onFailure"], "none">;

/**
 * What `--health-on-failure` makes of a check's result: pure. Every failing check of an unhealthy container asks for it, not
 * only the one that made it so: a daemon that died in between makes up for it.
 */
export function planFailure(
  check: HealthCheck,
  health: HealthRecord,
): { readonly action: FailureAction; readonly cause: string } | undefined {
  if (check.onFailure === "none" || health.status !== "unhealthy") return undefined;
  return { action: check.onFailure, cause: `${health.failingStreak} failed checks` };
}

/**
 * The policy that an exit is judged by. A container that is to be restarted when unhealthy, and ended while it was, comes
 * back by the restart policy's own rules and back-off. The decision rests on the record alone, so that it holds when the
 * daemon died between the signal and the exit.
 */
export function policyAtExit(record: ContainerRecord): RestartPolicy | undefined {
  const restarts = healthCheckOf(record.definition.config)?.onFailure === "restart";
  if (restarts && record.state.health?.status === "unhealthy") return { Name: "always" };
  return record.definition.host.RestartPolicy;
}
