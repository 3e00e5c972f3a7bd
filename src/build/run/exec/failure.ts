import { TugError } from "../../../base/lib/errors.ts";
import { startFailure } from "../../../core/runtime/start-failure.ts";
import type { StepEnd } from "./process.ts";

/**
 * Why a step failed, in BuildKit's words (solver/llbsolver/ops/exec.go, gateway's ExitError), which clients show and look for the exit
 * code in. Undefined for one that did not. Where the kernel killed something of it for want of memory, that is the reason.
 */
export function stepFailure(args: readonly string[], end: StepEnd): TugError | undefined {
  if (end.exitCode === 0) return undefined;
  const reason = end.oomKilled ? "cannot allocate memory" : `exit code: ${end.exitCode}`;
  const message = `process ${JSON.stringify(args.join(" "))} did not complete successfully: ${reason}`;
  return new TugError("runtime-command", message, { detail: { exitCode: end.exitCode } });
}

/** What the log of a step says when its program could not be started. */
export function startComplaint(runtime: string, args: readonly string[], complaint: string): string {
  const text = startFailure(complaint, args[0] ?? "")?.text ?? complaint;
  const foreign = /exec format error/i.test(complaint);
  return `${runtime} run failed: unable to start container process: ${text}\n${foreign ? foreignHint : ""}`;
}

const foreignHint =
  "The program is of another architecture than this machine, which has no emulation for it. Register one (Debian's packages " +
  "qemu-user-static and binfmt-support), or run the step on this machine's platform: FROM --platform=$BUILDPLATFORM\n";
