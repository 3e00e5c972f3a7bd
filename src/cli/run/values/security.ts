import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { readWholeFile } from "../../../base/lib/whole-file.ts";

export interface SecurityOptions {
  readonly options: string[];
  /** Empty lists when `systempaths=unconfined` lifts the masks. */
  readonly unmasked: boolean;
}

/** Reads --security-opt values; a seccomp profile's file is read here and its JSON sent. */
export function parseSecurity(values: readonly string[]): SecurityOptions {
  const options: string[] = [];
  let unmasked = false;
  for (const value of values) {
    if (value === "systempaths=unconfined") {
      unmasked = true;
      continue;
    }
    const at =
      value.includes("=") || value.startsWith("no-new-privileges") ? value.indexOf("=") : value.indexOf(":");
    const key = at < 0 ? value : value.slice(0, at);
    const text = at < 0 ? "" : value.slice(at + 1);
    if (text === "" && key !== "no-new-privileges" && !value.startsWith("no-new-privileges:")) {
      throw invalid(`Invalid --security-opt: ${JSON.stringify(value)}`);
    }
    options.push(
      key === "seccomp" && text !== "builtin" && text !== "unconfined"
        ? `seccomp=${readProfile(text)}`
        : value,
    );
  }
  return { options, unmasked };
}

function readProfile(path: string): string {
  let text: string;
  try {
    text = readWholeFile(path).toString();
  } catch (error) {
    throw invalid(`opening seccomp profile (${path}) failed: open ${path}: ${systemText(error)}`, error);
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw invalid(
      `compacting json for seccomp profile (${path}) failed: ${jsonComplaint(text, error)}`,
      error,
    );
  }
}

/** Go's words for JSON that does not even start as such. */
function jsonComplaint(text: string, error: unknown): string {
  const first = text.trimStart()[0];
  if (first === undefined) return "unexpected end of JSON input";
  return /[[{"\dtfn-]/.test(first)
    ? messageOf(error)
    : `invalid character '${first}' looking for beginning of value`;
}
