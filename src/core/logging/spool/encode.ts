import { findHeader } from "./line.ts";
import { LineClock } from "./line-clock.ts";

/** What a reader asked for, as the encoder needs it. */
export interface EncodeOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly since?: bigint;
  readonly until?: bigint;
  /** With Docker's 8-byte stdcopy header before each line, else raw. */
  readonly framed: boolean;
  readonly timestamps: boolean;
  /** Put before each line, after the timestamp; "" for none. */
  readonly details: string;
}

const NEWLINE = 10;
/** A frame is not extended past this, so that a line without end does not become one frame without end. */
const frameLimit = 1 << 20;
/** Room that one line may need beyond its own bytes: frame header, timestamp and blank. */
const overhead = 8 + 30 + 1;

/**
 * Turns spool lines into what goes over the wire. This is the path that `docker logs` of a large log spends its time in: it works on whole
 * buffers, makes no object and no string for a line, and copies each payload once.
 *
 * Partial records of one line come out as one line: with one timestamp, and in one frame when nothing came between them.
 */
export class LogEncoder {
  readonly #options: EncodeOptions;
  readonly #details: Buffer;
  readonly #clock: LineClock | undefined;
  readonly #perLine: number;
  /** Whether the last record of stdout / stderr left its line open. */
  #midStdout = false;
  #midStderr = false;
  /** An `until` was passed: nothing later matters. */
  #ended = false;

  constructor(options: EncodeOptions) {
    this.#options = options;
    this.#details = Buffer.from(options.details);
    const clocked = options.since !== undefined || options.until !== undefined;
    this.#clock = clocked ? new LineClock() : undefined;
    this.#perLine = overhead + this.#details.length;
  }

  /** True once a line after `until` was seen. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Encodes whole lines: `input[from, to)` begins at a line's start and ends after a newline. Returns a buffer of its own. */
  encode(input: Buffer, from: number, to: number): Buffer {
    const { framed, timestamps, stdout: wantOut, stderr: wantErr } = this.#options;
    // A line's prefix in the spool is at least 40 bytes, so without details the output is never longer than the input.
    const details = this.#details;
    let out: Buffer = Buffer.allocUnsafe(
      details.length === 0 ? to - from + this.#perLine : (to - from) * 2 + 65536,
    );
    let o = 0;
    let openFrame = -1;
    let openStream = 0;
    for (let at = from; at < to; ) {
      let end = input.indexOf(NEWLINE, at + 40);
      if (end < 0 || end >= to) end = to - 1;
      const header = findHeader(input, at, end);
      if (header === 0) {
        // No spool line (damage): go on behind its real end.
        at = input.indexOf(NEWLINE, at) + 1 || to;
        openFrame = -1;
        continue;
      }
      const next = end + 1;
      const text = at + header;
      const isOut = input[text - 5] === 117; // "stdoUt F ", "stderR F "
      const full = input[text - 2] === 70;
      const wanted = isOut ? wantOut : wantErr;
      if (!wanted || (this.#clock !== undefined && !this.#inRange(input, at))) {
        at = next;
        if (this.#ended) break;
        continue;
      }
      const stop = full ? next : end;
      const length = stop - text;
      const stream = isOut ? 1 : 2;
      const mid = isOut ? this.#midStdout : this.#midStderr;
      if (details.length > 0 && o + length + this.#perLine > out.length)
        out = grown(out, o, length + this.#perLine);
      // The rest of a line whose beginning is the last frame goes into that frame.
      const continues = openFrame >= 0 && openStream === stream && o - openFrame < frameLimit;
      if (framed && !continues) {
        openFrame = o;
        openStream = stream;
        out[o] = stream;
        out[o + 1] = 0;
        out[o + 2] = 0;
        out[o + 3] = 0;
        o += 8;
      }
      if (!mid) {
        if (timestamps) o = writeTimestamp(input, at, header, out, o);
        if (details.length > 0) {
          out.set(details, o);
          o += details.length;
        }
      }
      o = copyText(input, text, stop, out, o);
      if (framed) {
        const size = o - openFrame - 8;
        out[openFrame + 4] = size >>> 24;
        out[openFrame + 5] = size >>> 16;
        out[openFrame + 6] = size >>> 8;
        out[openFrame + 7] = size;
        if (full) openFrame = -1;
      }
      if (isOut) this.#midStdout = !full;
      else this.#midStderr = !full;
      at = next;
    }
    return out.subarray(0, o);
  }

  #inRange(input: Buffer, at: number): boolean {
    const time = this.#clock?.time(input, at) ?? 0n;
    const { since, until } = this.#options;
    if (until !== undefined && time > until) {
      this.#ended = true;
      return false;
    }
    return since === undefined || time >= since;
  }
}

/** Short lines are copied faster here than by a call into the engine. */
function copyText(input: Buffer, from: number, to: number, out: Buffer, o: number): number {
  if (to - from < 48) {
    for (let i = from; i < to; i++) out[o++] = input[i] as number;
    return o;
  }
  input.copy(out, o, from, to);
  return o + to - from;
}

/** Docker's fixed-width form, "2006-01-02T15:04:05.000000000Z ". */
function writeTimestamp(input: Buffer, at: number, header: number, out: Buffer, o: number): number {
  // "…T15:04:05.123456789+00:00 stdout F ": conmon runs in UTC here; another offset takes the slow way.
  const plain =
    header === 45 &&
    input[at + 30] === 48 &&
    input[at + 31] === 48 &&
    input[at + 33] === 48 &&
    input[at + 34] === 48;
  if (plain || header === 40) {
    for (let i = 0; i < 29; i++) out[o + i] = input[at + i] as number;
  } else {
    const time = new LineClock().time(input, at);
    const seconds = new Date(Number(time / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
    out.write(`${seconds}.${(time % 1_000_000_000n).toString().padStart(9, "0")}`, o, "latin1");
  }
  out[o + 29] = 90;
  out[o + 30] = 32;
  return o + 31;
}

function grown(out: Buffer, used: number, more: number): Buffer {
  const bigger = Buffer.allocUnsafe((out.length + more) * 2);
  out.copy(bigger, 0, 0, used);
  return bigger;
}
