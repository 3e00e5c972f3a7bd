import { TugError } from "../../../base/lib/errors.ts";
import { startFailure } from "../../../core/runtime/start-failure.ts";
import type { StepEnd } from "./process.ts";

/**
 * Why a step failed, in BuildKit's words (solver/llbsolver/ops/exec.go, gateway's ExitError), which clients show and look for the exit
 * code in. Undefined for one that did not. Where the kernel killed something of it for want of memory, that is the reason. `foreign` says
 * what is to be done about an emulator that this host lacks: it is the reason where the kernel refused the step's program.
 */
export function stepFailure(args: readonly string[], end: StepEnd, foreign?: string): TugError | undefined {
  if (end.exitCode === 0) return undefined;
  const reason = end.oomKilled ? "cannot allocate memory" : `exit code: ${end.exitCode}`;
  const refused = foreign !== undefined && isForeign(end) ? `: ${foreign}` : "";
  const message = notCompleted(args, `${reason}${refused}`);
  return new TugError("runtime-command", message, { detail: { exitCode: end.exitCode } });
}

/** Of a step that ended badly, or could not begin. */
export function notCompleted(args: readonly string[], reason: string): string {
  return `process ${JSON.stringify(args.join(" "))} did not complete successfully: ${reason}`;
}

/** execve(2)'s ENOEXEC: a program for another machine, or none. The container's init may say so itself, on the step's standard error. */
function isForeign({ complaint, firstWords }: StepEnd): boolean {
  return /exec format error/i.test(complaint ?? /^exec .*/.exec(firstWords)?.[0] ?? "");
}

/** What the log of a step says when its program could not be started. */
export function startComplaint(runtime: string, args: readonly string[], complaint: string): string {
  const text = startFailure(complaint, args[0] ?? "")?.text ?? complaint;
  return `${runtime} run failed: unable to start container process: ${text}\n`;
}

/**
 * For the log of a failed step of a platform that this host has no emulator for, where the step's shell could be started and something that
 * it called may be what could not.
 */
export function foreignHint(end: StepEnd, foreign: string | undefined): string | undefined {
  if (foreign === undefined || isForeign(end)) return undefined;
  return (
    `If this step failed with "exec format error": ${foreign}; or run the step here and copy what it makes: ` +
    "FROM --platform=$BUILDPLATFORM\n"
  );
}
