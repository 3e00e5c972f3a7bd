import { TugError } from "../../../base/lib/errors.ts";
import { cancelled, type Exchange } from "./transport.ts";
import { requestPrefix } from "./transport-error.ts";

/** A peer that sends nothing for so long is taken for dead. */
const stallLimit = 60_000;
/** And one that sends less than this many bytes a second all that time: nobody can wait for what it has. */
const leastRate = 1024;

/**
 * The body's chunks as they come. Throws `unavailable` when the connection is cut, stalls or only trickles, `cancelled` on abort. Only time
 * in which the reader waits counts: the writer's time is not the peer's.
 */
export async function* bodyChunks(exchange: Exchange, stallMs = stallLimit): AsyncGenerator<Uint8Array> {
  const reader = exchange.response.body?.getReader();
  if (!reader) return;
  let stalled = "";
  const window = { waited: 0, bytes: 0 };
  const giveUp = (why: string) => {
    stalled = why;
    exchange[Symbol.dispose]();
  };
  try {
    for (;;) {
      const began = performance.now();
      const nothing = `no data for ${stallMs / 1000} seconds`;
      const timer = setTimeout(() => giveUp(nothing), stallMs);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      window.waited += performance.now() - began;
      window.bytes += value.byteLength;
      if (window.waited >= stallMs) {
        const rate = (window.bytes / window.waited) * 1000;
        window.waited = 0;
        window.bytes = 0;
        if (rate < leastRate) {
          giveUp(`only ${Math.round(rate)} bytes a second for ${stallMs / 1000} seconds`);
          throw new Error(stalled);
        }
      }
      yield value;
    }
  } catch (error) {
    if (exchange.signal?.aborted) throw cancelled(exchange.signal);
    if (error instanceof TugError) throw error;
    const reason = stalled === "" ? "unexpected EOF" : stalled;
    throw new TugError("unavailable", `${requestPrefix(exchange.method, exchange.url)}${reason}`, {
      cause: error,
    });
  }
}

/** A whole body of at most `limit` bytes; a longer one is `data-loss`. */
export async function readBody(exchange: Exchange, limit: number): Promise<Uint8Array> {
  const tooLong = () =>
    new TugError(
      "data-loss",
      `${requestPrefix(exchange.method, exchange.url)}response is larger than ${limit} bytes`,
    );
  if (Number(exchange.response.headers.get("content-length") ?? 0) > limit) throw tooLong();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(exchange)) {
    size += chunk.byteLength;
    if (size > limit) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
