import { invalid } from "../../base/lib/errors.ts";
import type { RestartPolicy } from "../../base/spec/docker/api.gen.ts";

/** Refuses what Docker refuses, in its words. */
export function checkRestartPolicy(policy: RestartPolicy | undefined): void {
  const name = policy?.Name ?? "";
  const count = policy?.MaximumRetryCount ?? 0;
  if (!["", "no", "always", "unless-stopped", "on-failure"].includes(name)) {
    throw invalid(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (name !== "on-failure" && count !== 0) {
    throw invalid(
      count < 0
        ? "invalid restart policy: maximum retry count can only be used with 'on-failure' and cannot be negative"
        : `invalid restart policy: maximum retry count can only be used with 'on-failure'`,
    );
  }
  if (count < 0) throw invalid("invalid restart policy: maximum retry count cannot be negative");
}

export interface RestartInput {
  readonly policy: RestartPolicy | undefined;
  readonly exitCode: number;
  /** Restarts of the policy so far. */
  readonly restartCount: number;
  /** The stop was asked for. */
  readonly stoppedByUser: boolean;
  /** How long the run that ended lasted. */
  readonly ranMs: number;
  /** The wait before that run; 0 for the first. */
  readonly lastBackoffMs: number;
}

export type RestartPlan =
  | { readonly restart: false; readonly cause: string }
  | { readonly restart: true; readonly delayMs: number; readonly cause: string };

const first = 100;
const ceiling = 60_000;
/** A run this long was a success: the back-off starts over. */
const steady = 10_000;

/**
 * What the restart policy makes of an exit: pure. The wait doubles from 100 ms to a minute and starts over after a run of
 * ten seconds, as Docker documents it.
 */
export function planRestart(input: RestartInput): RestartPlan {
  const name = input.policy?.Name || "no";
  if (input.stoppedByUser) return { restart: false, cause: "it was stopped on request" };
  if (name === "no") return { restart: false, cause: "it has no restart policy" };
  if (name === "on-failure") {
    if (input.exitCode === 0) return { restart: false, cause: "it succeeded" };
    const limit = input.policy?.MaximumRetryCount ?? 0;
    if (limit > 0 && input.restartCount >= limit) {
      return { restart: false, cause: `it failed after ${input.restartCount} restarts` };
    }
  }
  const delayMs =
    input.lastBackoffMs === 0 || input.ranMs >= steady ? first : Math.min(input.lastBackoffMs * 2, ceiling);
  return { restart: true, delayMs, cause: `policy ${name}, exit code ${input.exitCode}` };
}

/** Must a container that is not running be started when the daemon (or the machine) starts? */
export function restartsAtBoot(input: {
  readonly policy: RestartPolicy | undefined;
  readonly stoppedByUser: boolean;
  /** It was running (or between two runs) when the daemon was last alive. */
  readonly wasRunning: boolean;
  readonly exitCode: number;
  readonly restartCount: number;
}): boolean {
  switch (input.policy?.Name) {
    case "always":
      return true;
    case "unless-stopped":
      return !input.stoppedByUser;
    case "on-failure": {
      const limit = input.policy.MaximumRetryCount ?? 0;
      return input.wasRunning && input.exitCode !== 0 && (limit === 0 || input.restartCount < limit);
    }
    default:
      return false;
  }
}
