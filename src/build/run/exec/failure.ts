import { readdirSync } from "node:fs";
import { TugError } from "../../../base/lib/errors.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";
import { formatPlatform, platformDistance } from "../../../base/spec/oci/platform.ts";
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
  return `${runtime} run failed: unable to start container process: ${text}\n`;
}

/**
 * For the log of a failed step of another platform, on a host that emulates none: there the kernel refuses its programs with "exec format
 * error", and this is the way out. `emulators`: what the kernel starts foreign programs with (proc(5), binfmt_misc).
 */
export function foreignHint(
  platform: Platform,
  host: Platform,
  emulators: readonly string[],
): string | undefined {
  if (platformDistance(host, platform) !== undefined) return undefined;
  if (emulators.some((name) => name.startsWith("qemu-"))) return undefined;
  return (
    `This step is for ${formatPlatform(platform)}; this machine is ${formatPlatform(host)} and emulates no other ("exec format error"). ` +
    "Register emulators (Debian's packages qemu-user-static and binfmt-support), or run the step here and copy what it makes: " +
    "FROM --platform=$BUILDPLATFORM\n"
  );
}

/** None where the file system is not mounted. */
export function emulators(directory = "/proc/sys/fs/binfmt_misc"): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
