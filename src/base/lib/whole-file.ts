import { invalid } from "./errors.ts";
import { errnoOf } from "./storage-error.ts";

/** Programs that touch no file need not load it. */
const fs = () => process.getBuiltinModule("node:fs");

/** More than anybody writes into a file of settings: what is larger was named by mistake (/dev/zero has no end). */
const largest = 64 * 1024 * 1024;
const firstPiece = 64 * 1024;
/** Milliseconds between two looks at a pipe that has nothing yet. */
const lookMs = 5;

export interface WholeFileOptions {
  /** Bytes. */
  readonly limit?: number;
  /**
   * Milliseconds to wait for somebody to write where the file is a pipe; without it, as long as it takes (Docker's way with a file that was
   * named for this one command: it can be interrupted).
   */
  readonly patience?: number;
}

/**
 * A file that a user named, as a whole: a pipe, too (`<(…)`, or a FIFO that a password manager writes to), which is read to its end.
 * Throws the system's errors as they come, and invalid-argument for one that is larger than the limit or a pipe that nobody writes to.
 */
export function readWholeFile(path: string, options: WholeFileOptions = {}): Buffer {
  const { constants, openSync, closeSync } = fs();
  const { limit = largest, patience } = options;
  const fd = openSync(
    path,
    patience === undefined ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK,
  );
  try {
    return readToEnd(fd, limit, patience);
  } finally {
    closeSync(fd);
  }
}

function readToEnd(fd: number, limit: number, patience: number | undefined): Buffer {
  const { fstatSync, readSync } = fs();
  const stat = fstatSync(fd);
  // One byte more than there is: the end is seen at once.
  let bytes = Buffer.allocUnsafe(Math.min(limit + 1, Math.max(firstPiece, stat.size + 1)));
  let length = 0;
  let deadline = performance.now() + (patience ?? 0);
  // Before anybody has opened it for writing, a pipe that is read without waiting looks as if it were at its end.
  const isUnwritten = () => length === 0 && patience !== undefined && stat.isFIFO();
  for (;;) {
    if (length > limit) throw invalid(`it is larger than ${sizeText(limit)}: is it the right file?`);
    if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(limit + 1, bytes.length * 2));
    const read = readSome(readSync, fd, bytes, length);
    if (read === 0 && !isUnwritten()) return bytes.subarray(0, length);
    length += read ?? 0;
    if (read !== undefined && read > 0) deadline = performance.now() + (patience ?? 0);
    else if (performance.now() < deadline) Bun.sleepSync(lookMs);
    else throw invalid("it is a pipe, and nobody writes to it");
  }
}

/** Bytes that were read; undefined where there are none yet. */
function readSome(
  readSync: typeof import("node:fs").readSync,
  fd: number,
  into: Buffer,
  at: number,
): number | undefined {
  try {
    return readSync(fd, into, at, into.length - at, null);
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return undefined;
    throw error;
  }
}

/** The same without keeping the event loop from turning: whoever writes may be slow, and the user may interrupt meanwhile. */
export async function readWholeFileAside(path: string, limit = largest): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of fs().createReadStream(path)) {
    length += part.length;
    if (length > limit) throw invalid(`it is larger than ${sizeText(limit)}: is it the right file?`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const sizeText = (bytes: number) =>
  bytes % 1024 ** 2 === 0 ? `${bytes / 1024 ** 2} MiB` : `${bytes / 1024} kB`;
