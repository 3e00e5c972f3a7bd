import { TugError } from "../../base/lib/errors.ts";

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
 * length) and payload. Payload is handed on as it comes, without waiting for the frame's end. Frames of one stream that came together
 * leave together: a log has a frame for each line, and a write for each would cost more than everything else.
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
    // Payload gathered in the chunk itself, in [start, end): it moves towards the front, over headers that were read.
    let start = 0;
    let end = 0;
    let run = stream;
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        if (chunk.length - at < 8) {
          header = chunk.slice(at);
          break;
        }
        stream = chunk[at] ?? 0;
        if (stream > 3) throw new TugError("internal", `Unrecognized input header: ${stream}`);
        left =
          (chunk[at + 4] ?? 0) * 0x1000000 +
          (((chunk[at + 5] ?? 0) << 16) | ((chunk[at + 6] ?? 0) << 8) | (chunk[at + 7] ?? 0));
        at += 8;
        continue;
      }
      const length = Math.min(left, chunk.length - at);
      if (stream === 3) {
        const text = Buffer.from(chunk.subarray(at, at + length)).toString();
        throw new TugError("internal", `error from daemon in stream: ${text}`);
      }
      if (stream !== run || end === start) {
        const wait = send(sink, run, chunk.subarray(start, end));
        if (wait) await wait;
        run = stream;
        start = at;
        end = at;
      }
      if (end !== at) chunk.copyWithin(end, at, at + length);
      end += length;
      at += length;
      left -= length;
    }
    const wait = send(sink, run, chunk.subarray(start, end));
    if (wait) await wait;
  }
  if (left > 0 || header.length > 0)
    throw new TugError("unavailable", "the daemon closed the connection within a frame");
}

function send(sink: FrameSink, stream: number, bytes: Uint8Array): Promise<void> | undefined {
  if (bytes.length === 0) return undefined;
  return stream === 2 ? sink.stderr(bytes) : sink.stdout(bytes);
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
