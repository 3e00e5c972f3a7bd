import { type FileHandle, open } from "node:fs/promises";
import { TugError } from "../../../base/lib/errors.ts";

/** One generation of a spool, plain or compressed, addressed by the offsets of its plain bytes. */
export interface Segment extends AsyncDisposable {
  /** Plain bytes that are there now. */
  size(): Promise<number>;
  /**
   * Bytes from `offset`, as many as fit `into`; fewer do not mean the end, none does. The result lies in `into` or in memory of the
   * segment's own: it holds until the next read.
   */
  read(offset: number, into: Buffer): Promise<Buffer>;
  readonly inode: number;
}

export async function openPlain(path: string): Promise<Segment> {
  const file = await open(path, "r");
  try {
    const { ino } = await file.stat();
    return new PlainSegment(file, ino);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class PlainSegment implements Segment {
  readonly #file: FileHandle;
  readonly inode: number;

  constructor(file: FileHandle, inode: number) {
    this.#file = file;
    this.inode = inode;
  }

  async size(): Promise<number> {
    return (await this.#file.stat()).size;
  }

  async read(offset: number, into: Buffer): Promise<Buffer> {
    const { bytesRead } = await this.#file.read(into, 0, into.length, offset);
    return into.subarray(0, bytesRead);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/**
 * Compressed generations are ordinary zstd files, made of independent frames of about a megabyte each and closed by a skippable frame
 * (RFC 8878, 3.1.2) that holds their sizes, so that a reader can begin anywhere and from the end.
 */
const skippableMagic = 0x184d2a50;
const indexMark = 0x58475554; // "TUGX"
const frameSize = 1 << 20;

/** Writes the compressed form of `from` to `to` and syncs it. Frames end at line ends where they can. */
export async function compressFile(from: string, to: string): Promise<void> {
  const source = await open(from, "r");
  try {
    const target = await open(to, "w", 0o640);
    try {
      const sizes: number[] = [];
      for (let offset = 0; ; ) {
        const buffer = Buffer.allocUnsafe(frameSize);
        const { bytesRead } = await source.read(buffer, 0, frameSize, offset);
        if (bytesRead === 0) break;
        const line = buffer.lastIndexOf(10, bytesRead - 1) + 1;
        const raw = bytesRead === frameSize && line > 0 ? line : bytesRead;
        const frame = await Bun.zstdCompress(buffer.subarray(0, raw), { level: 3 });
        await target.writeFile(frame);
        sizes.push(frame.length, raw);
        offset += raw;
      }
      await target.writeFile(encodeIndex(sizes));
      // Readers skip a generation by the time of its last line.
      const { atime, mtime } = await source.stat();
      await target.utimes(atime, mtime);
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Skippable frame: magic, length, then per frame its compressed and plain size, then the number of frames and a mark. */
function encodeIndex(sizes: readonly number[]): Buffer {
  const index = Buffer.alloc(8 + sizes.length * 4 + 8);
  index.writeUInt32LE(skippableMagic, 0);
  index.writeUInt32LE(index.length - 8, 4);
  sizes.forEach((size, i) => {
    index.writeUInt32LE(size, 8 + i * 4);
  });
  index.writeUInt32LE(sizes.length / 2, index.length - 8);
  index.writeUInt32LE(indexMark, index.length - 4);
  return index;
}

interface Frame {
  readonly at: number;
  readonly length: number;
  readonly plainAt: number;
  readonly plainLength: number;
}

export async function openCompressed(path: string): Promise<Segment> {
  const file = await open(path, "r");
  try {
    const { ino, size } = await file.stat();
    const frames = await readIndex(file, size, path);
    return new CompressedSegment(file, ino, frames);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readIndex(file: FileHandle, size: number, path: string): Promise<readonly Frame[]> {
  const damaged = () => new TugError("data-loss", `log file ${path} is damaged`);
  const tail = Buffer.alloc(8);
  if (size < 16) throw damaged();
  await file.read(tail, 0, 8, size - 8);
  const count = tail.readUInt32LE(0);
  const start = size - 8 - count * 8;
  if (tail.readUInt32LE(4) !== indexMark || start < 8) throw damaged();
  const index = Buffer.alloc(count * 8);
  await file.read(index, 0, index.length, start);
  const frames: Frame[] = [];
  let at = 0;
  let plainAt = 0;
  for (let i = 0; i < count; i++) {
    const length = index.readUInt32LE(i * 8);
    const plainLength = index.readUInt32LE(i * 8 + 4);
    frames.push({ at, length, plainAt, plainLength });
    at += length;
    plainAt += plainLength;
  }
  if (at !== start - 8) throw damaged();
  return frames;
}

class CompressedSegment implements Segment {
  readonly #file: FileHandle;
  readonly #frames: readonly Frame[];
  readonly inode: number;
  /** The last frame read, in plain. */
  #cached: { readonly frame: Frame; readonly bytes: Buffer } | undefined;

  constructor(file: FileHandle, inode: number, frames: readonly Frame[]) {
    this.#file = file;
    this.inode = inode;
    this.#frames = frames;
  }

  async size(): Promise<number> {
    const last = this.#frames.at(-1);
    return last ? last.plainAt + last.plainLength : 0;
  }

  async read(offset: number, into: Buffer): Promise<Buffer> {
    const frame = this.#frames.findLast((one) => one.plainAt <= offset);
    if (!frame || offset >= frame.plainAt + frame.plainLength) return Buffer.alloc(0);
    if (this.#cached?.frame !== frame) {
      const packed = Buffer.allocUnsafe(frame.length);
      await this.#file.read(packed, 0, frame.length, frame.at);
      this.#cached = { frame, bytes: await Bun.zstdDecompress(packed) };
    }
    const from = offset - frame.plainAt;
    return this.#cached.bytes.subarray(from, from + into.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
