import type { ReplyStream } from "../base/http/exchange.ts";
import type { Call } from "./call.ts";

/** How the values of a stream are told apart. */
export interface StreamFormat {
  readonly type: string;
  readonly before: string;
  readonly after: string;
}

const progressFormat: StreamFormat = { type: "application/json", before: "", after: "\r\n" };
export const lineFormat: StreamFormat = { type: "application/json", before: "", after: "\n" };

/** The format of a stream of lines that the client would rather have: NDJSON or JSON text sequences (RFC 7464). */
export function acceptedFormat(call: Call): StreamFormat {
  const accept = call.exchange.headers.get("accept") ?? "";
  for (const type of ["application/x-ndjson", "application/jsonl"]) {
    if (accept.includes(type)) return { ...lineFormat, type };
  }
  const sequence = "application/json-seq";
  return accept.includes(sequence) ? { type: sequence, before: "\x1e", after: "\n" } : lineFormat;
}

/**
 * Sends each value of `source` as a line of JSON, at once. Until the first value nothing is on the wire, so a failure becomes
 * an ordinary error reply; after it, `failure` gives a last line that tells of it; without one the connection is cut.
 */
export async function streamJson<T>(
  call: Call,
  source: AsyncIterable<T>,
  options: {
    /** The client waits for the head before there is anything to say. */
    readonly headAtOnce?: boolean;
    readonly each?: (value: T) => unknown;
    readonly only?: (value: T) => boolean;
    readonly failure?: (error: unknown) => unknown;
    /** Even the first thing that happens is told in the stream, if it is this. */
    readonly failureInStream?: (error: unknown) => boolean;
    /** What stands around each value; default: plain JSON ended by CR LF, as progress has always come. */
    readonly format?: StreamFormat;
  },
): Promise<void> {
  const format = options.format ?? progressFormat;
  let reply: ReplyStream | undefined;
  const open = () => {
    reply ??= call.exchange.stream(200, { ...call.headers, "Content-Type": format.type });
    return reply;
  };
  const write = (value: unknown) => open().write(`${format.before}${JSON.stringify(value)}${format.after}`);
  const { signal } = call.exchange;
  const iterator = source[Symbol.asyncIterator]();
  try {
    // Asked for before the head goes out: what the backend refuses at once is still a plain error.
    let step = iterator.next();
    if (options.headAtOnce) {
      const early = await Promise.race([step.then(() => true), nextTurn()]);
      if (early === undefined) open();
    }
    for (let item = await step; !item.done && !signal.aborted; item = await step) {
      if (options.only?.(item.value) !== false) {
        const value = options.each ? options.each(item.value) : item.value;
        await write(value);
      }
      step = iterator.next();
    }
    open().end();
  } catch (error) {
    if (signal.aborted) return;
    if (!options.failure || (!reply && !options.failureInStream?.(error))) throw error;
    await write(options.failure(error));
  } finally {
    await iterator.return?.();
  }
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}
