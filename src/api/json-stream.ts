import type { ReplyStream } from "../base/http/exchange.ts";
import type { Call } from "./call.ts";

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
    /** Even the first thing that happens is told in the stream. */
    readonly failureInStream?: boolean;
  },
): Promise<void> {
  let reply: ReplyStream | undefined;
  const open = () => {
    reply ??= call.exchange.stream(200, { ...call.headers, "Content-Type": "application/json" });
    return reply;
  };
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
        await open().write(`${JSON.stringify(value)}\r\n`);
      }
      step = iterator.next();
    }
    open().end();
  } catch (error) {
    if (signal.aborted) return;
    if (!options.failure || (!reply && !options.failureInStream)) throw error;
    await open().write(`${JSON.stringify(options.failure(error))}\r\n`);
  } finally {
    await iterator.return?.();
  }
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}
