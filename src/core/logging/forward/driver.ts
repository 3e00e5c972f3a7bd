import type { Clock } from "../../../base/lib/clock.ts";
import { invalid, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import { compile, detailsText, logAttributes } from "../details.ts";
import type { ContainerLog, LogContext, LogDriver } from "../logging.ts";
import { checkDelivery, checkOptionNames, deliveryOptions, detailOptions, parseBool } from "../options.ts";
import { monitorLimit, spoolLimits } from "../spool/limits.ts";
import { openSpool } from "../spool/spool.ts";
import { SpoolLog } from "../spool/spool-log.ts";
import { Forwarder, type LogSink } from "./forwarder.ts";
import { checkTag } from "./tag.ts";

/** One kind of log service: its options, and how to reach it. */
export interface Destination {
  readonly name: string;
  /** Its own options, besides those every forwarding driver takes. */
  readonly options: readonly string[];
  validate(options: Readonly<Record<string, string>>): void;
  /** Connects for one container. */
  connect(container: LogContext, signal: AbortSignal): Promise<LogSink>;
  /** Whether a container may not start for the first time while the service cannot be reached, as in Docker. */
  mustConnect(options: Readonly<Record<string, string>>): boolean;
}

export interface ForwardDriverDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** Docker's options for the local copy that `docker logs` reads. */
const cacheOptions = ["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"] as const;
const connectMs = 10_000;

/**
 * A driver that passes lines on to a log service. The spool stays the first place they go to: the container never waits for the network,
 * nothing is lost while the service is away, and `logs` works as with any other driver.
 */
export class ForwardLogDriver implements LogDriver {
  readonly #destination: Destination;
  readonly #deps: ForwardDriverDeps;
  readonly #compression = new Mutex();

  constructor(destination: Destination, deps: ForwardDriverDeps) {
    this.#destination = destination;
    this.#deps = deps;
  }

  get name(): string {
    return this.#destination.name;
  }

  validate(options: Readonly<Record<string, string>>): void {
    const known = [...this.#destination.options, ...detailOptions, ...deliveryOptions, ...cacheOptions];
    checkOptionNames(this.name, options, known);
    checkDelivery(options);
    cacheLimits(options);
    checkTag(options["tag"]);
    for (const key of ["labels-regex", "env-regex"]) if (options[key] !== undefined) compile(options[key]);
    this.#destination.validate(options);
  }

  async open(container: LogContext): Promise<ContainerLog> {
    const { options, directory } = container;
    if (!Forwarder.hasRun(directory) && this.#destination.mustConnect(options))
      await this.#tryConnect(container);
    const limits = cacheLimits(options);
    const spool = openSpool(container, { limits, compression: this.#compression, ...this.#deps });
    const forwarder = new Forwarder({
      spool,
      directory,
      connect: (signal) => this.#destination.connect(container, signal),
      clock: this.#deps.clock,
      log: this.#deps.log.with({ driver: this.name, container: container.id }),
    });
    return new SpoolLog({
      spool,
      path: "",
      monitorLimit: monitorLimit(limits),
      details: detailsText(logAttributes(container)),
      readable: parseBool(options["cache-disabled"] ?? "") !== true,
      onRemove: () => forwarder.remove(),
    });
  }

  async #tryConnect(container: LogContext): Promise<void> {
    try {
      const sink = await this.#destination.connect(container, AbortSignal.timeout(connectMs));
      await sink[Symbol.asyncDispose]();
    } catch (error) {
      throw new TugError("internal", `failed to initialize logging driver: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

function cacheLimits(options: Readonly<Record<string, string>>) {
  const own: Record<string, string> = {};
  for (const [from, to] of [
    ["cache-max-size", "max-size"],
    ["cache-max-file", "max-file"],
    ["cache-compress", "compress"],
  ] as const) {
    if (options[from] !== undefined) own[to] = options[from];
  }
  const disabled = options["cache-disabled"];
  if (disabled !== undefined && parseBool(disabled) === undefined) {
    throw invalid(
      `invalid value for cache-disabled: strconv.ParseBool: parsing ${JSON.stringify(disabled)}: invalid syntax`,
    );
  }
  return spoolLimits(own);
}
