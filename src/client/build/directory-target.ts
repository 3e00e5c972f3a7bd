import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { TugError } from "../../base/lib/errors.ts";
import { fileType, isType, type TreeEntry } from "../../base/rpc/tree/entry.ts";
import type { TreeTarget } from "../../base/rpc/tree/receive.ts";

/**
 * Writes a received tree into a directory of ours. Everything belongs to us; what is there and has no namesake stays. Entries come in walking
 * order and each directory is made sure to be one before anything goes into it, so nothing is written through a link.
 */
export class DirectoryTarget implements TreeTarget {
  readonly #root: string;
  readonly #open = new Map<string, number>();
  readonly #files = new Map<string, TreeEntry>();
  readonly #directories: TreeEntry[] = [];

  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true });
  }

  entry(entry: TreeEntry): boolean {
    const path = join(this.#root, entry.path);
    const before = lookUp(path);
    if (isType(entry.mode, fileType.directory)) {
      if (before && !before.isDirectory()) unlinkSync(path);
      // Writable while it is filled; its own mode is set at the end.
      if (!before?.isDirectory()) mkdirSync(path, 0o700);
      else chmodSync(path, 0o700);
      this.#directories.push(entry);
      return false;
    }
    if (before) rmSync(path, { recursive: true, force: true });
    if (isType(entry.mode, fileType.symlink)) {
      symlinkSync(entry.linkname, path);
      lutimesSync(path, seconds(entry), seconds(entry));
      return false;
    }
    if (!isType(entry.mode, fileType.regular))
      throw new TugError(
        "not-implemented",
        `${entry.path} is a device or a pipe, which a local output cannot have: leave it out or use --output type=tar`,
      );
    if (entry.linkname !== "") {
      this.#linkLater.push(entry);
      return false;
    }
    this.#files.set(entry.path, entry);
    return true;
  }

  /** Hard links: their first names are complete only at the end. */
  readonly #linkLater: TreeEntry[] = [];

  async content(path: string, bytes: Uint8Array, last: boolean): Promise<void> {
    let fd = this.#open.get(path);
    if (fd === undefined) {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      fd = openSync(join(this.#root, path), flags, 0o600);
      this.#open.set(path, fd);
    }
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    if (!last) return;
    closeSync(fd);
    this.#open.delete(path);
    const entry = this.#files.get(path);
    this.#files.delete(path);
    if (entry) this.#finishEntry(entry);
  }

  async finish(): Promise<void> {
    for (const { path, linkname } of this.#linkLater)
      linkSync(join(this.#root, linkname), join(this.#root, path));
    for (const directory of this.#directories.toReversed()) this.#finishEntry(directory);
  }

  /** Closes what a transfer that failed left open. */
  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #finishEntry(entry: TreeEntry): void {
    const path = join(this.#root, entry.path);
    chmodSync(path, entry.mode & 0o7777);
    utimesSync(path, seconds(entry), seconds(entry));
  }
}

const seconds = (entry: TreeEntry) => Number(entry.mtime) / 1e9;

function lookUp(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
