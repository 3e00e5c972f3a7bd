import type { ByteStream } from "../bytes.ts";
import {
  ConnectionError,
  defaultFrameSize,
  defaultWindow,
  Flag,
  FrameType,
  frame,
  headerBytes,
  largestWindow,
  Reason,
  writeHeader,
} from "./frames.ts";
import { encodeFields, type Fields } from "./hpack.ts";
import type { Http2Stream } from "./stream.ts";

/** Bytes that leave in one piece. */
const pieceBytes = 256 * 1024;
/** What waits besides content: a peer that asks (pings, settings, calls that are refused) and does not read is cut off past this. */
const maxControl = 4 << 20;

/** What leaves on a connection: frames of its own first, then of each stream in turn, as far as the peer has room. */
export class FrameSender {
  readonly #bytes: ByteStream;
  readonly #failed: (error: unknown) => void;
  /** Those that may have something to send. */
  readonly #waiting = new Set<Http2Stream>();
  #control: Uint8Array[] = [];
  #controlBytes = 0;
  #writing = false;
  #scheduled = false;
  #stopped = false;
  #window = defaultWindow;
  /** Largest frame that the peer takes. */
  peerFrame = defaultFrameSize;

  constructor(bytes: ByteStream, failed: (error: unknown) => void) {
    this.#bytes = bytes;
    this.#failed = failed;
  }

  send(bytes: Uint8Array): void {
    if (this.#stopped) return;
    this.#control.push(bytes);
    this.#controlBytes += bytes.length;
    if (this.#controlBytes > maxControl)
      throw new ConnectionError(Reason.enhanceYourCalm, "the peer asks and does not read the answers");
    this.#schedule();
  }

  sendHeaders(id: number, fields: Fields, end: boolean): void {
    const block = encodeFields(fields);
    const most = this.peerFrame;
    for (let at = 0; at === 0 || at < block.length; at += most) {
      const last = at + most >= block.length;
      const flags = (end && at === 0 ? Flag.endStream : 0) | (last ? Flag.endHeaders : 0);
      const type = at === 0 ? FrameType.headers : FrameType.continuation;
      this.send(frame(type, flags, id, block.subarray(at, at + most)));
    }
  }

  wants(stream: Http2Stream): void {
    this.#waiting.add(stream);
    this.#schedule();
  }

  forget(stream: Http2Stream): void {
    this.#waiting.delete(stream);
  }

  /** The peer has more room for all streams together. */
  widen(bytes: number, streams: Iterable<Http2Stream>): void {
    this.#window += bytes;
    if (bytes === 0 || this.#window > largestWindow)
      throw new ConnectionError(Reason.flowControl, "a window of no possible size");
    for (const stream of streams) this.#waiting.add(stream);
    this.#schedule();
  }

  /** Says one thing more, if that is possible without waiting, and nothing from then on. */
  stop(last?: Uint8Array): void {
    const free = !this.#writing && !this.#stopped;
    this.#stopped = true;
    this.#control = [];
    this.#waiting.clear();
    if (last && free) this.#bytes.write(last).catch(() => undefined); // it may be gone: nothing is lost
  }

  /** What is said in one turn leaves together. */
  #schedule(): void {
    if (this.#scheduled || this.#writing || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#write();
    });
  }

  async #write(): Promise<void> {
    if (this.#writing || this.#stopped) return;
    this.#writing = true;
    try {
      for (let bytes = this.#gather(); bytes; bytes = this.#stopped ? undefined : this.#gather())
        await this.#bytes.write(bytes);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#writing = false;
    }
  }

  #gather(): Uint8Array | undefined {
    const parts = this.#control;
    let size = this.#controlBytes;
    this.#control = [];
    this.#controlBytes = 0;
    for (const stream of this.#waiting) {
      if (size >= pieceBytes) break;
      this.#waiting.delete(stream);
      size += this.#gatherFrom(stream, parts, pieceBytes - size);
      // Behind the others; each round moves something, so this comes to an end.
      if (stream.ready && this.#window > 0) this.#waiting.add(stream);
    }
    // Trailers, which end what is above.
    parts.push(...this.#control);
    this.#control = [];
    this.#controlBytes = 0;
    const [only] = parts;
    return parts.length > 1 ? Buffer.concat(parts) : only;
  }

  /** Frames of one stream, up to about `limit` bytes; gives how many it was. */
  #gatherFrom(stream: Http2Stream, parts: Uint8Array[], limit: number): number {
    let size = 0;
    while (size < limit) {
      const piece = stream.take(Math.min(this.peerFrame, this.#window));
      if (!piece) break;
      const head = Buffer.allocUnsafe(headerBytes);
      writeHeader(head, 0, piece.bytes.length, FrameType.data, piece.last ? Flag.endStream : 0, stream.id);
      parts.push(head, piece.bytes);
      this.#window -= piece.bytes.length;
      size += headerBytes + piece.bytes.length;
      if (piece.last) {
        stream.localEnd();
        return size;
      }
    }
    const trailers = stream.takeTrailers();
    if (trailers) {
      this.sendHeaders(stream.id, trailers, true);
      stream.localEnd();
    }
    stream.drained();
    return size;
  }
}
