import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import { type NewTarEntry, tarHeader, tarPadding, tarTrailer } from "../../base/lib/tar/writer.ts";

const block = 1 << 18;

/**
 * A tar stream of a file or tree, its top named `base`. Small members are gathered into large chunks; reading is
 * synchronous, since an await for each of thousands of files would cost more than the files.
 */
export async function* packTree(path: string, base: string): AsyncGenerator<Uint8Array, void, void> {
  let gathered: Uint8Array[] = [];
  let size = 0;
  const links = new Map<string, string>();
  for (const piece of members(path, base, links)) {
    if (piece.length < block) {
      gathered.push(piece);
      size += piece.length;
      if (size < block) continue;
    }
    if (size > 0) yield Buffer.concat(gathered);
    if (piece.length >= block) yield piece;
    gathered = [];
    size = 0;
  }
  gathered.push(tarTrailer);
  yield Buffer.concat(gathered);
}

function* members(path: string, name: string, links: Map<string, string>): Generator<Uint8Array, void, void> {
  const info = lstatSync(path);
  const entry = describe(path, name, info, links);
  if (!entry) return; // a socket: no archive can hold it
  if (entry.kind !== "file") yield tarHeader(entry);
  if (entry.kind === "file") yield* fileMember(path, entry, info.size);
  if (entry.kind !== "directory") return;
  for (const child of readdirSync(path).sort()) yield* members(join(path, child), `${name}/${child}`, links);
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
function* fileMember(path: string, entry: NewTarEntry, size: number): Generator<Uint8Array, void, void> {
  const fd = openSync(path, "r");
  try {
    yield tarHeader(entry);
    let left = size;
    while (left > 0) {
      const chunk = Buffer.allocUnsafe(Math.min(left, 1 << 20));
      const got = readSync(fd, chunk, 0, chunk.length, null);
      if (got === 0) chunk.fill(0); // it became shorter: the archive stays well-formed
      yield got === 0 ? chunk : chunk.subarray(0, got);
      left -= got === 0 ? chunk.length : got;
    }
    yield tarPadding(size);
  } finally {
    closeSync(fd);
  }
}
