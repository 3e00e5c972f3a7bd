import { DetachFilter } from "../../base/lib/detach-keys.ts";
import { isCode } from "../../base/lib/errors.ts";
import type { TaskStreams } from "../../core/runtime/runtime.ts";
import type { StreamClient } from "./client.ts";

/** How long a process that does not read its input keeps what a client sent before it went. */
const LAST_INPUT_MS = 1000;

export interface PumpOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly stdin: boolean;
  /** End of the client's input is the end of the process's stdin. */
  readonly closeStdin: boolean;
  /** Watched for on stdin; undefined: the bytes are passed as they are. */
  readonly detachKeys: readonly number[] | undefined;
}

/** Carries bytes between a monitor's attach socket and a client until the process ends, the client goes, or it detaches. */
export async function pump(
  streams: TaskStreams,
  client: StreamClient,
  options: PumpOptions,
): Promise<"ended" | "detached" | "gone"> {
  const reader = streams.output.getReader();
  let outcome: "ended" | "detached" | "gone" = "ended";
  const stop = (why: "detached" | "gone") => {
    if (outcome === "ended") outcome = why;
    reader.cancel().catch(() => undefined); // the read below ends, which is what is wanted
  };
  const input =
    options.stdin && client.stdin ? feed(streams, client.stdin, options, () => stop("detached")) : undefined;
  // Input may fail because the process is gone; that ends with its output.
  const allRead = input?.catch(() => undefined);
  // What a client sent before it hung up, such as a command typed right before the detach keys, still goes in.
  const gone = () => void Promise.race([allRead, Bun.sleep(LAST_INPUT_MS)]).then(() => stop("gone"));
  client.signal.addEventListener("abort", gone, { once: true });
  if (client.signal.aborted) gone();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (options[value.stream]) await give(client, value.stream, value.bytes);
    }
  } finally {
    client.signal.removeEventListener("abort", gone);
    await streams[Symbol.asyncDispose]();
  }
  return outcome;
}

/** Output for a client that has gone is dropped. */
async function give(client: StreamClient, stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void> {
  if (client.signal.aborted) return;
  try {
    await client.write(stream, bytes);
  } catch (error) {
    if (!client.signal.aborted && !isCode(error, "cancelled")) throw error;
  }
}

async function feed(
  streams: TaskStreams,
  stdin: ReadableStream<Uint8Array>,
  options: PumpOptions,
  detach: () => void,
): Promise<void> {
  const filter = options.detachKeys && new DetachFilter(options.detachKeys);
  const reader = stdin.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const { forward, detached } = filter ? filter.feed(value) : { forward: value, detached: false };
      if (forward.length > 0) await streams.write(forward);
      if (detached) return detach();
    }
    if (options.closeStdin) await streams.closeStdin();
  } finally {
    reader.releaseLock();
  }
}
