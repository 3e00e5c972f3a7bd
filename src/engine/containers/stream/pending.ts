import type { TaskStreams } from "../../../core/runtime/runtime.ts";
import type { PendingAttachment } from "../live.ts";

export interface PendingStreams {
  readonly attachment: PendingAttachment;
  /** Undefined when there will be none: the client went away, attaching failed, or the container never runs. */
  readonly streams: Promise<TaskStreams | undefined>;
}

/**
 * Streams of a run that is still to come, for a client that may go away meanwhile. Streams that come after it went are closed: a
 * connection that nobody reads would hold up the container's output for good.
 */
export function pendingStreams(
  attach: () => Promise<TaskStreams>,
  signal: AbortSignal,
  failed: (error: unknown) => void,
): PendingStreams {
  const { promise, resolve } = Promise.withResolvers<TaskStreams | undefined>();
  let over = signal.aborted;
  const end = () => {
    over = true;
    resolve(undefined);
  };
  if (over) end();
  else signal.addEventListener("abort", end, { once: true });
  const connect = async () => {
    if (over) return;
    try {
      const streams = await attach();
      if (isOver()) await streams[Symbol.asyncDispose]();
      else resolve(streams);
    } catch (error) {
      failed(error);
      end();
    }
  };
  /** Asked anew: time has passed. */
  const isOver = () => over;
  const streams = promise.finally(() => signal.removeEventListener("abort", end));
  return { attachment: { connect, cancel: end }, streams };
}
