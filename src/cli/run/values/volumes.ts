import { invalid } from "../../../base/lib/errors.ts";
import { absolutePath } from "../../io/builtin.ts";

/** What the -v options come to: binds (and named volumes) for HostConfig, anonymous volumes for Config. */
export interface VolumeSpecs {
  readonly binds: string[];
  readonly anonymous: Record<string, Record<string, never>>;
}

/** Reads -v values: `[source:]target[:options]`; relative host paths become absolute here, where the user is. */
export function parseVolumes(values: readonly string[]): VolumeSpecs {
  const binds: string[] = [];
  const anonymous: VolumeSpecs["anonymous"] = {};
  for (const value of values) {
    const parts = value.split(":");
    if (value === "") throw invalid("invalid empty volume spec");
    // What is too short to hold both sides is a target; the daemon judges it.
    if (value.length > 2 && parts.includes(""))
      throw invalid(`invalid spec: ${value}: empty section between colons`);
    const [source = "", ...rest] = parts;
    if (rest.length === 0 || value.length <= 2) anonymous[value] = {};
    else binds.push(source.startsWith(".") ? [absolutePath(source), ...rest].join(":") : value);
  }
  return { binds: [...new Set(binds)], anonymous };
}

/** `--tmpfs /run:size=64m,mode=1777`. */
export function parseTmpfs(values: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const value of values) {
    const at = value.indexOf(":");
    map[at < 0 ? value : value.slice(0, at)] = at < 0 ? "" : value.slice(at + 1);
  }
  return map;
}
