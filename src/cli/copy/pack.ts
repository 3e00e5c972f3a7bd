import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";

/** Bytes handed on at a time. */
const chunkSize = 1 << 18;
/** Files up to this size are read straight into the chunk that their neighbours are in. */
const smallFile = 1 << 16;

/**
 * A tar stream of a file or tree, its top named `base`. Small members share large chunks; reading is synchronous, since an
 * await for each of thousands of files would cost more than the files.
 */
export async function* packTree(path: string, base: string): AsyncGenerator<Uint8Array, void, void> {
  const chunk = new Chunk();
  yield* members(path, base, { chunk, links: new Map() });
  yield* chunk.room(tarTrailer.length);
  chunk.add(tarTrailer);
  yield chunk.take();
}

/** The bytes gathered so far. */
class Chunk {
  #bytes = Buffer.allocUnsafe(chunkSize);
  #used = 0;

  /** Hands on what is there when `length` more bytes would not fit. `length`: at most `chunkSize`. */
  *room(length: number): Generator<Uint8Array, void, void> {
    if (this.#used + length > chunkSize) yield this.take();
  }

  add(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** Exactly `size` bytes of an open file, zeros for what it lacks by now. */
  read(fd: number, size: number): void {
    for (let left = size; left > 0; ) {
      const got = readSync(fd, this.#bytes, this.#used, left, null);
      if (got === 0) this.#bytes.fill(0, this.#used, this.#used + left);
      this.#used += got === 0 ? left : got;
      left -= got === 0 ? left : got;
    }
  }

  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#used);
    this.#bytes = Buffer.allocUnsafe(chunkSize);
    this.#used = 0;
    return taken;
  }
}

interface Packing {
  readonly chunk: Chunk;
  /** "device:inode" -> the name that a file with several was packed under. */
  readonly links: Map<string, string>;
}

function* members(path: string, name: string, packing: Packing): Generator<Uint8Array, void, void> {
  const info = lstatSync(path);
  const entry = describe(path, name, info, packing.links);
  if (!entry) return; // a socket: no archive can hold it
  if (entry.kind === "file") {
    yield* fileMember(path, entry, info.size, packing.chunk);
    return;
  }
  const header = tarHeader(entry);
  yield* packing.chunk.room(header.length);
  packing.chunk.add(header);
  if (entry.kind !== "directory") return;
  for (const child of readdirSync(path).sort())
    yield* members(join(path, child), `${name}/${child}`, packing);
}

function describe(
  path: string,
  name: string,
  info: Stats,
  links: Map<string, string>,
): NewTarEntry | undefined {
  const common = {
    path: name,
    mode: info.mode & 0o7777,
    uid: info.uid,
    gid: info.gid,
    mtime: BigInt(Math.round(info.mtimeMs * 1000)) * 1000n,
  };
  if (info.isDirectory()) return { ...common, kind: "directory" };
  if (info.isSymbolicLink()) return { ...common, kind: "symlink", linkPath: readlinkSync(path) };
  if (info.isFile()) {
    if (info.nlink > 1) {
      const key = `${info.dev}:${info.ino}`;
      const first = links.get(key);
      if (first !== undefined) return { ...common, kind: "link", linkPath: first };
      links.set(key, name);
    }
    return { ...common, kind: "file", size: info.size };
  }
  const device = {
    deviceMajor: Number((BigInt(info.rdev) >> 8n) & 0xfffn),
    deviceMinor: Number((BigInt(info.rdev) & 0xffn) | ((BigInt(info.rdev) >> 12n) & 0xfff00n)),
  };
  if (info.isCharacterDevice()) return { ...common, ...device, kind: "char" };
  if (info.isBlockDevice()) return { ...common, ...device, kind: "block" };
  return info.isFIFO() ? { ...common, kind: "fifo" } : undefined;
}

/** A file's header and exactly as many bytes as the header says, whatever happens to the file meanwhile. */
function* fileMember(
  path: string,
  entry: NewTarEntry,
  size: number,
  chunk: Chunk,
): Generator<Uint8Array, void, void> {
  const fd = openSync(path, "r");
  try {
    const header = tarHeader(entry);
    const padding = tarPadding(size);
    if (size <= smallFile) {
      yield* chunk.room(header.length + size + padding.length);
      chunk.add(header);
      chunk.read(fd, size);
      chunk.add(padding);
      return;
    }
    yield* chunk.room(header.length);
    chunk.add(header);
    yield chunk.take();
    let left = size;
    while (left > 0) {
      const piece = Buffer.allocUnsafe(Math.min(left, 1 << 20));
      const got = readSync(fd, piece, 0, piece.length, null);
      if (got === 0) piece.fill(0); // it became shorter: the archive stays well-formed
      yield got === 0 ? piece : piece.subarray(0, got);
      left -= got === 0 ? piece.length : got;
    }
    chunk.add(padding);
  } finally {
    closeSync(fd);
  }
}
