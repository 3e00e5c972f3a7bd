import { invalid } from "../../../base/lib/errors.ts";
import type { StreamClient } from "../../streams/client.ts";
import type { ContainerContext } from "../context.ts";
import { openLog } from "../log-handle.ts";
import { isRunning } from "../record.ts";

export interface LogsOptions {
  readonly follow: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
  readonly timestamps: boolean;
  readonly details: boolean;
  readonly tail: number | undefined;
}

/** `docker logs`: the spool, encoded in large chunks, then what is written while it runs. */
export async function streamLogs(
  context: ContainerContext,
  reference: string,
  options: LogsOptions,
  client: StreamClient,
): Promise<void> {
  const record = context.store.resolve(reference);
  if (!options.stdout && !options.stderr) {
    throw invalid("Bad parameters: you must choose at least one stream");
  }
  const tty = record.definition.config.Tty ?? false;
  const log = await openLog(context, record);
  const chunks = log.readEncoded({
    stdout: options.stdout,
    stderr: options.stderr,
    follow: options.follow && isRunning(record),
    signal: client.signal,
    framed: !tty,
    timestamps: options.timestamps,
    details: options.details && log.details ? `${log.details} ` : "",
    ...(options.since === undefined ? {} : { since: options.since }),
    ...(options.until === undefined ? {} : { until: options.until }),
    ...(options.tail === undefined ? {} : { tail: options.tail }),
  });
  // The first read shows whether the driver can be read at all: before the head, an error is a status.
  const iterator = chunks[Symbol.asyncIterator]();
  const next = iterator.next();
  const early = await Promise.race([next.then((result) => ({ result })), tick()]);
  client.begin({ tty });
  try {
    for (let step = early ? early.result : await next; !step.done; step = await iterator.next()) {
      await client.writeEncoded(step.value);
    }
  } finally {
    await iterator.return?.();
  }
}

function tick(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), 10));
}
