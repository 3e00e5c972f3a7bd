import { TugError } from "../../base/lib/errors.ts";

export type StreamName = "stdout" | "stderr";

/** Where the two output streams go; a promise means "wait before the next". */
export interface FrameSink {
  stdout(chunk: Uint8Array): Promise<void> | undefined;
  stderr(chunk: Uint8Array): Promise<void> | undefined;
}

/** Anything chunks can be pulled from: a reply body or a hijacked connection. */
export interface ChunkSource {
  next(): Uint8Array | null | Promise<Uint8Array | null>;
}

/**
 * Docker's multiplexed stream (API docs, "Stream format"): frames of an 8-byte header (stream 0-3, three zeros, big-endian
 * length) and payload. Payload is handed on as it comes, without waiting for the frame's end.
 */
export async function demultiplex(source: ChunkSource, sink: FrameSink): Promise<void> {
  let header: Uint8Array = new Uint8Array(0);
  let left = 0;
  let stream = 1;
  for (;;) {
    const pulled = source.next();
    let chunk = pulled instanceof Promise ? await pulled : pulled;
    if (chunk === null) break;
    if (header.length > 0) {
      chunk = Buffer.concat([header, chunk]);
      header = new Uint8Array(0);
    }
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        if (chunk.length - at < 8) {
          header = chunk.subarray(at);
          break;
        }
        stream = chunk[at] ?? 0;
        if (stream > 3) throw new TugError("internal", `Unrecognized input header: ${stream}`);
        left = new DataView(chunk.buffer, chunk.byteOffset + at + 4, 4).getUint32(0);
        at += 8;
        continue;
      }
      const piece = chunk.subarray(at, at + left);
      at += piece.length;
      left -= piece.length;
      if (stream === 3)
        throw new TugError("internal", `error from daemon in stream: ${Buffer.from(piece).toString()}`);
      const wait = stream === 2 ? sink.stderr(piece) : sink.stdout(piece);
      if (wait) await wait;
    }
  }
  if (left > 0 || header.length > 0)
    throw new TugError("unavailable", "the daemon closed the connection within a frame");
}

/** A terminal's stream: one channel, no frames. */
export async function copyRaw(
  source: ChunkSource,
  write: (chunk: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  for (;;) {
    const pulled = source.next();
    const chunk = pulled instanceof Promise ? await pulled : pulled;
    if (chunk === null) return;
    const wait = write(chunk);
    if (wait) await wait;
  }
}
