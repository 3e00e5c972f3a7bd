import type { Clock } from "../../../base/lib/clock.ts";
import type { Log } from "../../../base/lib/log.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import { compile, detailsText, logAttributes } from "../details.ts";
import type { ContainerLog, LogContext, LogDriver } from "../logging.ts";
import { checkDelivery, checkOptionNames, deliveryOptions, detailOptions } from "../options.ts";
import { monitorLimit, spoolLimits } from "../spool/limits.ts";
import { openSpool } from "../spool/spool.ts";
import { SpoolLog } from "../spool/spool-log.ts";

export interface FileDriverDeps {
  readonly clock: Clock;
  readonly log: Log;
}

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
    const spool = openSpool(container, { limits, compression: this.#compression, ...this.#deps });
    return new SpoolLog({
      spool,
      monitorLimit: monitorLimit(limits),
      details: detailsText(logAttributes(container)),
    });
  }
}
