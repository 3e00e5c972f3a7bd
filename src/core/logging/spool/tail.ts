import type { Position } from "./cursor.ts";
import { findHeader } from "./line.ts";
import type { Segment } from "./segment.ts";
import type { Spool } from "./spool.ts";

const blockSize = 256 << 10;

/**
 * Finds where the last `count` lines of output begin, reading blocks from the end. A line of output ends with an F record; P records
 * before it belong to it, and a P record at the very end is a line that goes on.
 */
export async function tailPosition(spool: Spool, end: Position, count: number): Promise<Position> {
  if (count <= 0) return end;
  const scan = new TailScan(count);
  let first: Position = end;
  for (let seq: number | undefined = end.seq; seq !== undefined; seq = spool.before(seq)) {
    const segment = await spool.open(seq);
    if (!segment) continue;
    try {
      const size = seq === end.seq ? end.offset : await segment.size();
      const offset = await scanSegment(segment, size, scan);
      if (offset !== undefined) return { seq, offset };
    } finally {
      await segment[Symbol.asyncDispose]();
    }
    first = { seq, offset: 0 };
  }
  return first;
}

/** Offset at which the wanted lines begin, if that lies in this segment. */
async function scanSegment(segment: Segment, size: number, scan: TailScan): Promise<number | undefined> {
  let carry: Buffer = Buffer.alloc(0);
  for (let to = size; to > 0; ) {
    const from = Math.max(0, to - blockSize);
    const block = await readFully(segment, from, to - from);
    const bytes = carry.length === 0 ? block : Buffer.concat([block, carry]);
    // Lines that begin in this block, last first; the bytes before the first newline belong to the next block's last line.
    let lineEnd = bytes.lastIndexOf(10);
    while (lineEnd >= 0) {
      const before = lineEnd === 0 ? -1 : bytes.lastIndexOf(10, lineEnd - 1);
      if (before < 0 && from > 0) break;
      const cut = scan.line(bytes, before + 1, lineEnd);
      if (cut) return from + lineEnd + 1;
      lineEnd = before;
    }
    carry = Buffer.from(bytes.subarray(0, lineEnd + 1));
    to = from;
  }
  return undefined;
}

class TailScan {
  #left: number;
  /** Streams of which a later record was seen: their P records belong to it. */
  readonly #open = new Set<boolean>();

  constructor(count: number) {
    this.#left = count;
  }

  /** Takes the next line towards the beginning; true when it is one too many. */
  line(bytes: Buffer, at: number, end: number): boolean {
    const header = findHeader(bytes, at, end);
    if (header === 0) return false;
    const full = bytes[at + header - 2] === 70;
    const isOut = bytes[at + header - 5] === 117;
    if (!full) {
      // With nothing of its stream after it, it is the beginning of a line that is still being written.
      if (this.#open.has(isOut)) return false;
      this.#open.add(isOut);
      if (this.#left === 0) return true;
      this.#left--;
      return false;
    }
    if (this.#left === 0) return true;
    this.#open.add(isOut);
    this.#left--;
    return false;
  }
}

async function readFully(segment: Segment, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const part = await segment.read(from + got, bytes.subarray(got));
    if (part.length === 0) break;
    // A compressed segment answers from memory of its own.
    if (part.buffer !== bytes.buffer || part.byteOffset !== bytes.byteOffset + got) part.copy(bytes, got);
    got += part.length;
  }
  return bytes.subarray(0, got);
}
