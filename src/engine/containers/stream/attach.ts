import { parseDetachKeys } from "../../../base/lib/detach-keys.ts";
import { conflict, messageOf } from "../../../base/lib/errors.ts";
import type { TaskStreams } from "../../../core/runtime/runtime.ts";
import type { StreamClient } from "../../streams/client.ts";
import { pump } from "../../streams/pump.ts";
import type { ContainerContext } from "../context.ts";
import { emitContainer } from "../events.ts";
import { openLog } from "../log-handle.ts";
import { type ContainerRecord, isAlive } from "../record.ts";
import { pendingStreams } from "./pending.ts";

export interface AttachOptions {
  readonly stream: boolean;
  readonly logs: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: string | undefined;
}

/**
 * Attaches a client. To a container that does not run yet it is connected by the start, between the monitor's creation and
 * the first instruction of the program, so that no byte is missed.
 */
export async function attachContainer(
  context: ContainerContext,
  reference: string,
  options: AttachOptions,
  client: StreamClient,
): Promise<void> {
  const record = context.store.resolve(reference);
  const { id } = record;
  const tty = record.definition.config.Tty ?? false;
  const keys = parseDetachKeys(options.detachKeys);
  if (record.state.status === "paused") {
    throw conflict(`container ${id} is paused, unpause the container before attach`);
  }
  if (record.state.status === "restarting") {
    throw conflict(`container ${id} is restarting, wait until the container is running`);
  }
  client.begin({ tty });
  if (options.logs) await replay(context, record, options, client);
  emitContainer(context, record, "attach");
  if (!options.stream) return;
  const stdin = options.stdin && (record.definition.config.OpenStdin ?? false);
  const streams = await openStreams(context, record, { stdin }, client.signal);
  if (!streams) return;
  const { config } = record.definition;
  const outcome = await pump(streams, client, {
    stdout: options.stdout,
    stderr: options.stderr,
    stdin,
    closeStdin: (config.StdinOnce ?? false) && !tty,
    detachKeys: tty ? keys : undefined,
  });
  if (outcome === "detached") emitContainer(context, record, "detach");
}

async function replay(
  context: ContainerContext,
  record: ContainerRecord,
  options: AttachOptions,
  client: StreamClient,
): Promise<void> {
  const log = await openLog(context, record);
  const records = log.read({
    stdout: options.stdout,
    stderr: options.stderr,
    follow: false,
    signal: client.signal,
  });
  for await (const line of records) await client.write(line.stream, line.bytes);
}

/** Streams of the running task, or of the next run; undefined when there will be none or the client went away. */
async function openStreams(
  context: ContainerContext,
  record: ContainerRecord,
  options: { readonly stdin: boolean },
  signal: AbortSignal,
): Promise<TaskStreams | undefined> {
  const { id } = record;
  const dirs = context.paths.task(id);
  const waiting = await context.locks.run(id, async () => {
    const now = context.store.get(id);
    // One that ended while we waited for our turn has nothing more to say; its next run is another matter.
    const over = now && isAlive(record) && !isAlive(now);
    if (!now || over || signal.aborted) return { streams: Promise.resolve(undefined) };
    if (isAlive(now)) return { streams: Promise.resolve(await context.runtime.attach(dirs, options)) };
    const { pending } = context.live.of(id);
    const { attachment, streams } = pendingStreams(
      () => context.runtime.attach(dirs, options),
      signal,
      (error) => context.log.warn("attaching to a starting container", { id, error: messageOf(error) }),
    );
    pending.add(attachment);
    return { streams: streams.finally(() => pending.delete(attachment)) };
  });
  return await waiting.streams;
}
