import { mkdirSync } from "node:fs";
import type { Clock } from "../../../base/lib/clock.ts";
import { invalid } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import { compile, detailsText, logAttributes } from "../details.ts";
import type { ContainerLog, LogContext, LogDriver } from "../logging.ts";
import {
  checkDelivery,
  checkOptionNames,
  deliveryOptions,
  detailOptions,
  parseBool,
  parseSize,
} from "../options.ts";
import { Spool, type SpoolLimits } from "../spool/spool.ts";
import { SpoolLog } from "../spool/spool-log.ts";

export interface FileDriverDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** What holds when nobody says anything: a container's log takes at most 100 MB, and far less once compressed. */
const defaults = { maxSize: 20 * 1024 * 1024, maxFiles: 5, compress: true };

/**
 * `json-file` and `local`: the log is the spool itself. Docker's two drivers differ in the format of their files alone, which nobody but
 * the daemon reads; here both keep the spool's. Unlike Docker's json-file, the log is bounded unless max-size=-1 lifts the bound.
 */
export class FileLogDriver implements LogDriver {
  readonly name: string;
  readonly #deps: FileDriverDeps;
  readonly #compression = new Mutex();

  constructor(name: "json-file" | "local", deps: FileDriverDeps) {
    this.name = name;
    this.#deps = deps;
  }

  validate(options: Readonly<Record<string, string>>): void {
    checkOptionNames(this.name, options, [
      "max-size",
      "max-file",
      "compress",
      ...detailOptions,
      ...deliveryOptions,
    ]);
    checkDelivery(options);
    spoolLimits(options);
    for (const key of ["labels-regex", "env-regex"]) if (options[key] !== undefined) compile(options[key]);
  }

  async open(container: LogContext): Promise<ContainerLog> {
    const limits = spoolLimits(container.options);
    mkdirSync(container.directory, { recursive: true, mode: 0o700 });
    const spool = new Spool({
      directory: container.directory,
      limits,
      reopen: () => container.reopen(),
      compression: this.#compression,
      ...this.#deps,
    });
    return new SpoolLog({
      spool,
      monitorLimit: monitorLimit(limits),
      details: detailsText(logAttributes(container)),
    });
  }
}

/** Throws Docker's texts for values that cannot be. */
export function spoolLimits(options: Readonly<Record<string, string>>): SpoolLimits {
  let maxSize = defaults.maxSize;
  const size = options["max-size"];
  if (size === "-1") maxSize = Number.POSITIVE_INFINITY;
  else if (size !== undefined) {
    maxSize = parseSize(size) ?? -1;
    if (maxSize < 0) throw invalid(`invalid value for max-size: invalid size: '${size}'`);
    if (maxSize === 0) throw invalid("max-size must be a positive number");
  }
  let maxFiles = defaults.maxFiles;
  const files = options["max-file"];
  if (files !== undefined) {
    if (!/^[+-]?\d+$/.test(files))
      throw invalid(
        `invalid value for max-file: strconv.Atoi: parsing ${JSON.stringify(files)}: invalid syntax`,
      );
    maxFiles = Number(files);
    if (maxFiles < 1) throw invalid("max-file cannot be less than 1");
  }
  let compress = defaults.compress;
  const compressed = options["compress"];
  if (compressed !== undefined) {
    const value = parseBool(compressed);
    if (value === undefined) {
      throw invalid(
        `invalid value for compress: strconv.ParseBool: parsing ${JSON.stringify(compressed)}: invalid syntax`,
      );
    }
    compress = value;
  }
  return { maxSize, maxFiles, compress };
}

/** conmon throws the file away at its own limit, so that lies far above ours: only a dead daemon lets it be reached. */
function monitorLimit(limits: SpoolLimits): number {
  if (!Number.isFinite(limits.maxSize)) return -1;
  return Math.max(limits.maxSize * limits.maxFiles, limits.maxSize + 64 * 1024 * 1024);
}
