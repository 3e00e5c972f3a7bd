import type { RequestBody } from "../../base/http/exchange.ts";
import { TugError } from "../../base/lib/errors.ts";
import type { Ingest } from "../../core/content/content.ts";

/** Bytes: far below any network, far above a byte now and then, which would hold an upload for ever. */
const leastPerSecond = 100;

export interface ReceiveLimits {
  /** A client that in so long sends less than `leastPerSecond` is given up; what it sent stays. */
  readonly stallMs: number;
  /** Called with the size the upload would have; refuses by throwing. */
  readonly admit: (size: number) => void;
  readonly received?: (bytes: number) => void;
}

/** Writes a request's body to the end of an upload. Ends early when `signal` fires; what was written stays. */
export async function receiveBody(
  body: RequestBody,
  ingest: Ingest,
  signal: AbortSignal,
  limits: ReceiveLimits,
): Promise<void> {
  if (body.length === 0) return;
  if (body.length !== undefined) limits.admit(ingest.offset + body.length);
  const reader = body.stream().getReader();
  let failure: unknown;
  const stop = (reason: unknown) => {
    failure ??= reason;
    reader.cancel().catch(() => undefined); // the read below ends, and `failure` says why
  };
  const abort = () => stop(signal.reason);
  let looked = ingest.offset;
  const timer = setInterval(() => {
    const gained = ingest.offset - looked;
    looked = ingest.offset;
    if (gained * 1000 >= leastPerSecond * limits.stallMs) return;
    stop(new TugError("cancelled", `no data for ${limits.stallMs / 1000} seconds`));
  }, limits.stallMs);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (failure !== undefined) throw failure;
      if (done) return;
      limits.admit(ingest.offset + value.byteLength);
      await ingest.write(value);
      limits.received?.(value.byteLength);
    }
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", abort);
  }
}
