import { posix } from "node:path";
import { invalid } from "../../../base/lib/errors.ts";

/** One `-v`/Binds entry, parsed. */
export interface VolumeSpec {
  /** Host path, volume name, or undefined for an anonymous volume. */
  readonly source: { readonly kind: "path" | "name"; readonly value: string } | undefined;
  readonly target: string;
  readonly mode: string;
  readonly readonly: boolean;
  readonly propagation: string;
  readonly copy: boolean;
  readonly nonRecursive: boolean;
}

const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const propagations = new Set(["private", "rprivate", "slave", "rslave", "shared", "rshared"]);
const labels = new Set(["z", "Z"]);

/** Docker's `[source:]target[:mode]`. */
export function parseVolumeSpec(spec: string): VolumeSpec {
  const fail = () => invalid(`invalid volume specification: '${spec}'`);
  const parts = spec.split(":");
  if (spec === "" || parts.some((part, index) => part === "" && index < 2)) throw fail();
  let source: string | undefined;
  let target: string;
  let mode = "";
  if (parts.length === 1) target = parts[0] ?? "";
  else if (parts.length === 2) {
    // A target and a mode name no source.
    if (parseFlags(parts[1] ?? "")) throw fail();
    [source, target] = [parts[0], parts[1] ?? ""];
  } else if (parts.length === 3) [source, target, mode] = [parts[0], parts[1] ?? "", parts[2] ?? ""];
  else throw fail();
  if (parts.length === 3 && mode === "") throw fail();
  const type = source?.startsWith("/") ? "bind" : "volume";
  const flags = parseMode(mode, spec, type);
  const clean = cleanTarget(target, spec, type);
  if (source === undefined) return { source: undefined, target: clean, mode, ...flags };
  if (source.startsWith("/")) {
    return { source: { kind: "path", value: posix.normalize(source) }, target: clean, mode, ...flags };
  }
  checkVolumeName(source);
  return { source: { kind: "name", value: source }, target: clean, mode, ...flags };
}

/** The target must be absolute and must not be the root. */
export function cleanTarget(target: string, spec: string, type: "bind" | "volume" | "tmpfs"): string {
  // HostConfig.Tmpfs is no volume specification.
  const where =
    type === "tmpfs"
      ? ""
      : `invalid volume specification: '${spec}': invalid mount config for type "${type}": `;
  if (!target.startsWith("/")) {
    throw invalid(`${where}invalid mount path: '${target}' mount path must be absolute`);
  }
  const clean = posix.normalize(target).replace(/(.)\/$/, "$1");
  if (clean === "/") {
    throw invalid(`${where}invalid specification: destination can't be '/'`);
  }
  return clean;
}

/** Refuses what the local driver could not use as a directory name. */
export function checkVolumeName(name: string): void {
  if (volumeName.test(name)) return;
  if (name.length === 1 && /[a-zA-Z0-9]/.test(name)) {
    throw invalid("create : volume name is too short, names should be at least two alphanumeric characters");
  }
  throw invalid(
    `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}

type Flags = Pick<VolumeSpec, "readonly" | "propagation" | "copy" | "nonRecursive">;

function parseMode(mode: string, spec: string, type: "bind" | "volume"): Flags {
  const flags = mode === "" ? parseFlags("rw") : parseFlags(mode);
  if (!flags) throw invalid(`invalid mode: ${mode}`);
  const alien = type === "bind" ? !flags.copy && "VolumeOptions" : flags.propagation && "BindOptions";
  if (alien) {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "${type}": field ${alien} must not be specified`,
    );
  }
  return flags;
}

/** The comma-separated words of a mode, each kind at most once; undefined when it is none. */
function parseFlags(mode: string): Flags | undefined {
  const seen = { rw: 0, propagation: 0, label: 0, copy: 0, consistency: 0 };
  let readonly = false;
  let propagation = "";
  let copy = true;
  let nonRecursive = false;
  for (const flag of mode.split(",")) {
    if (flag === "ro" || flag === "rw") {
      seen.rw++;
      readonly = flag === "ro";
    } else if (propagations.has(flag)) {
      seen.propagation++;
      propagation = flag;
    } else if (labels.has(flag)) seen.label++;
    else if (flag === "nocopy") {
      seen.copy++;
      copy = false;
    } else if (flag === "consistent" || flag === "cached" || flag === "delegated") seen.consistency++;
    else if (flag === "bind-nonrecursive") nonRecursive = true;
    else return undefined;
  }
  if (Object.values(seen).some((count) => count > 1)) return undefined;
  return { readonly, propagation, copy, nonRecursive };
}
