import type { ReplyStream } from "../../base/http/exchange.ts";
import { TugError } from "../../base/lib/errors.ts";

/** Sends pieces as fast as the client takes them. One that takes nothing for `stallMs` is cut off, as a failed reply. */
export async function sendPieces(
  stream: ReplyStream,
  pieces: AsyncIterable<Uint8Array>,
  limits: { readonly stallMs: number; readonly sent: (bytes: number) => void },
): Promise<void> {
  for await (const piece of pieces) {
    await unlessStalled(stream.write(piece), limits.stallMs);
    limits.sent(piece.byteLength);
  }
  stream.end();
}

async function unlessStalled(write: Promise<void>, stallMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stall = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TugError("cancelled", `the client took no data for ${stallMs / 1000} seconds`)),
      stallMs,
    );
  });
  try {
    await Promise.race([write, stall]);
  } finally {
    clearTimeout(timer);
  }
}
