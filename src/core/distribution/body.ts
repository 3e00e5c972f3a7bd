import { TugError } from "../../base/lib/errors.ts";
import { cancelled, type Exchange } from "./transport.ts";
import { requestPrefix } from "./transport-error.ts";

/** A peer that sends nothing for so long is taken for dead. */
export const stallLimit = 60_000;

/** The body's chunks as they come. Throws `unavailable` when the connection is cut or stalls, `cancelled` on abort. */
export async function* bodyChunks(exchange: Exchange, stallMs = stallLimit): AsyncGenerator<Uint8Array> {
  const reader = exchange.response.body?.getReader();
  if (!reader) return;
  let stalled = false;
  const timer = setTimeout(() => {
    stalled = true;
    exchange[Symbol.dispose]();
  }, stallMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      timer.refresh();
      if (done) return;
      yield value;
      // The writer's time is not the peer's.
      timer.refresh();
    }
  } catch (error) {
    if (exchange.signal?.aborted) throw cancelled(exchange.signal);
    if (error instanceof TugError) throw error;
    const reason = stalled ? `no data for ${stallMs / 1000} seconds` : "unexpected EOF";
    throw new TugError("unavailable", `${requestPrefix(exchange.method, exchange.url)}${reason}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
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
