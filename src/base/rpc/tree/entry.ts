import { invalid } from "../../lib/errors.ts";
import type { ContextEntry } from "../../spec/builder/session.ts";
import type { Stat } from "../../spec/buildkit/fsutil.gen.ts";

/** One entry of a tree on the wire: what the builder is told of a context. */
export type TreeEntry = ContextEntry;

/** st_mode's file types (inode(7)). */
export const fileType = {
  mask: 0o170000,
  socket: 0o140000,
  symlink: 0o120000,
  regular: 0o100000,
  block: 0o060000,
  directory: 0o040000,
  character: 0o020000,
  fifo: 0o010000,
} as const;

export const isType = (mode: number, type: number) => (mode & fileType.mask) === type;

/** Go's os.FileMode: permissions below, types and special bits from the top (pkg.go.dev/io/fs#FileMode). */
const go = {
  directory: 0x8000_0000,
  symlink: 0x0800_0000,
  device: 0x0400_0000,
  fifo: 0x0200_0000,
  socket: 0x0100_0000,
  setuid: 0x0080_0000,
  setgid: 0x0040_0000,
  character: 0x0020_0000,
  sticky: 0x0010_0000,
} as const;

export function toGoMode(mode: number): number {
  let out = mode & 0o777;
  if (mode & 0o4000) out |= go.setuid;
  if (mode & 0o2000) out |= go.setgid;
  if (mode & 0o1000) out |= go.sticky;
  switch (mode & fileType.mask) {
    case fileType.directory:
      out |= go.directory;
      break;
    case fileType.symlink:
      out |= go.symlink;
      break;
    case fileType.block:
      out |= go.device;
      break;
    case fileType.character:
      out |= go.device | go.character;
      break;
    case fileType.fifo:
      out |= go.fifo;
      break;
    case fileType.socket:
      out |= go.socket;
  }
  return out >>> 0;
}

export function fromGoMode(mode: number): number {
  let out = mode & 0o777;
  if (mode & go.setuid) out |= 0o4000;
  if (mode & go.setgid) out |= 0o2000;
  if (mode & go.sticky) out |= 0o1000;
  return out | typeOfGo(mode);
}

function typeOfGo(mode: number): number {
  if (mode & go.directory) return fileType.directory;
  if (mode & go.symlink) return fileType.symlink;
  if (mode & go.device) return mode & go.character ? fileType.character : fileType.block;
  if (mode & go.fifo) return fileType.fifo;
  if (mode & go.socket) return fileType.socket;
  return fileType.regular;
}

export function toStat(entry: TreeEntry): Stat {
  return {
    path: entry.path,
    mode: toGoMode(entry.mode),
    uid: entry.uid,
    gid: entry.gid,
    size: BigInt(entry.size),
    modTime: entry.mtime,
    linkname: entry.linkname,
    devmajor: BigInt(entry.devmajor),
    devminor: BigInt(entry.devminor),
    xattrs: { ...entry.xattrs },
  };
}

export function fromStat(stat: Stat): TreeEntry {
  return {
    path: stat.path,
    mode: fromGoMode(stat.mode),
    uid: stat.uid,
    gid: stat.gid,
    size: Number(stat.size),
    mtime: stat.modTime,
    linkname: stat.linkname,
    devmajor: Number(stat.devmajor),
    devminor: Number(stat.devminor),
    xattrs: stat.xattrs,
  };
}

/** Longest path that is taken; Linux' PATH_MAX. */
const maxPath = 4096;

/**
 * Holds a peer to walking order: parents first, siblings by name, nothing twice, no way up. So a receiver never meets an entry whose directory it
 * does not know as one.
 */
export class WalkOrder {
  /** The directories that the walk is in, with the name of the last entry of each. */
  #open: { readonly path: string; last: string | undefined }[] = [{ path: "", last: undefined }];
  readonly #files = new Set<string>();

  check(entry: TreeEntry): void {
    const { path } = entry;
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : path.slice(0, slash);
    const name = path.slice(slash + 1);
    const odd = name === "" || name === "." || name === ".." || path.startsWith("/");
    if (odd || path.length > maxPath || path.includes("\0"))
      throw invalid(`invalid path in the transfer: ${JSON.stringify(path.slice(0, 200))}`);
    while (this.#open.length > 1 && this.#open.at(-1)?.path !== parent) this.#open.pop();
    const directory = this.#open.at(-1);
    if (!directory || directory.path !== parent)
      throw invalid(`${JSON.stringify(path)} came without its directory`);
    if (directory.last !== undefined && compareNames(directory.last, name) >= 0)
      throw invalid(`${JSON.stringify(path)} came out of order`);
    directory.last = name;
    if (isType(entry.mode, fileType.directory)) this.#open.push({ path, last: undefined });
    else if (isType(entry.mode, fileType.regular)) this.#checkLink(entry);
  }

  #checkLink(entry: TreeEntry): void {
    if (entry.linkname === "") this.#files.add(entry.path);
    else if (!this.#files.has(entry.linkname))
      throw invalid(
        `${JSON.stringify(entry.path)} is a link to ${JSON.stringify(entry.linkname)}, which did not come before it`,
      );
  }
}

/** By UTF-8 bytes, as Go sorts. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  // Only surrogates sort otherwise by UTF-16 units than by bytes.
  if (hasSurrogate(a) || hasSurrogate(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

export const hasSurrogate = (name: string) => /[\ud800-\udfff]/.test(name);
