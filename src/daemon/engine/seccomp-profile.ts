import { readFileSync } from "node:fs";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import { parseSeccompProfile } from "../../core/runtime/spec/seccomp.ts";
import type { SeccompProfile } from "../../core/runtime/spec.ts";

/** `--seccomp-profile`: a file, "builtin" or "unconfined". */
export function seccompProfile(setting: string | undefined): {
  readonly seccompProfile?: SeccompProfile | "unconfined";
} {
  if (setting === undefined || setting === "builtin") return {};
  if (setting === "unconfined") return { seccompProfile: "unconfined" };
  let text: string;
  try {
    text = readFileSync(setting, "utf8");
  } catch (error) {
    throw invalid(`opening seccomp profile (${setting}) failed: ${messageOf(error)}`, error);
  }
  return { seccompProfile: parseSeccompProfile(text) };
}
