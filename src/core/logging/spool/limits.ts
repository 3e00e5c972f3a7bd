import { invalid, type TugError } from "../../../base/lib/errors.ts";
import { parseBool, parseSize } from "../options.ts";
import type { SpoolLimits } from "./spool.ts";

/** What holds when nobody says anything: a container's log takes at most 100 MB, and far less once compressed. */
const defaults = { maxSize: 20 * 1024 * 1024, maxFiles: 5, compress: true };

/** Throws Docker's texts for values that cannot be. */
export function spoolLimits(options: Readonly<Record<string, string>>): SpoolLimits {
  let maxSize = defaults.maxSize;
  const size = options["max-size"];
  if (size === "-1") maxSize = Number.POSITIVE_INFINITY;
  else if (size !== undefined) {
    maxSize = parseSize(size) ?? -1;
    if (maxSize < 0) throw unusable(`invalid size: '${size}'`);
    if (maxSize === 0) throw unusable("max-size must be a positive number");
  }
  let maxFiles = defaults.maxFiles;
  const files = options["max-file"];
  if (files !== undefined) {
    if (!/^[+-]?\d+$/.test(files))
      throw unusable(`strconv.Atoi: parsing ${JSON.stringify(files)}: invalid syntax`);
    maxFiles = Number(files);
    if (maxFiles < 1) throw unusable("max-file cannot be less than 1");
  }
  let compress = defaults.compress;
  const compressed = options["compress"];
  if (compressed !== undefined) {
    const value = parseBool(compressed);
    if (value === undefined) {
      throw unusable(`strconv.ParseBool: parsing ${JSON.stringify(compressed)}: invalid syntax`);
    }
    compress = value;
  }
  return { maxSize, maxFiles, compress };
}

/** Docker finds these out when it starts the container; here they are refused when it is created. */
function unusable(reason: string): TugError {
  return invalid(`failed to initialize logging driver: ${reason}`);
}

/** conmon throws the file away at its own limit, so that lies far above ours: only a dead daemon lets it be reached. */
export function monitorLimit(limits: SpoolLimits): number {
  if (!Number.isFinite(limits.maxSize)) return -1;
  return Math.max(limits.maxSize * limits.maxFiles, limits.maxSize + 64 * 1024 * 1024);
}
