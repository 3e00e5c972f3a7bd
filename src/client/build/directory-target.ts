import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { invalid, TugError } from "../../base/lib/errors.ts";
import { randomId } from "../../base/lib/ids.ts";
import { systemText } from "../../base/lib/system-text.ts";
import { fileType, isType, type TreeEntry } from "../../base/rpc/tree/entry.ts";
import type { TreeTarget } from "../../base/rpc/tree/receive.ts";
import { makeNode } from "../make-node.ts";

/**
 * Writes a received tree into a directory of ours. Everything belongs to us; what is there and has no namesake stays. Entries come in walking
 * order and each directory is made sure to be one before anything goes into it, so nothing is written through a link. A file has its
 * name when it is whole; what had the name before stays until then.
 */
export class DirectoryTarget implements TreeTarget {
  readonly #root: string;
  readonly #open = new Map<string, Part>();
  readonly #files = new Map<string, TreeEntry>();
  readonly #directories: TreeEntry[] = [];

  constructor(root: string) {
    this.#root = root;
    named("mkdir", root, () => mkdirSync(root, { recursive: true }));
  }

  entry(entry: TreeEntry): boolean {
    const path = join(this.#root, entry.path);
    if (isType(entry.mode, fileType.directory)) {
      named("mkdir", path, () => makeDirectory(path));
      this.#directories.push(entry);
      return false;
    }
    const isFile = isType(entry.mode, fileType.regular);
    const isPipe = isType(entry.mode, fileType.fifo);
    // Whoever may open such a node has the device: an image must not give that away on the machine of who builds it.
    if (!isFile && !isPipe && !isType(entry.mode, fileType.symlink))
      throw new TugError(
        "not-implemented",
        `${entry.path} is a device, which a local output cannot have: leave it out or use --output type=tar`,
      );
    const isPlain = isFile && entry.linkname === "";
    named("remove", path, () => {
      const before = lookUp(path);
      if (before && (!isPlain || before.isDirectory())) rmSync(path, { recursive: true, force: true });
    });
    if (isPipe) this.#pipes.push(entry);
    else if (!isFile)
      named("symlink", path, () => {
        symlinkSync(entry.linkname, path);
        lutimesSync(path, seconds(entry), seconds(entry));
      });
    else if (isPlain) this.#files.set(entry.path, entry);
    else this.#linkLater.push(entry);
    return isPlain;
  }

  /** Made in the end, by a program that is waited for. */
  readonly #pipes: TreeEntry[] = [];

  /** Hard links: their first names are complete only at the end. */
  readonly #linkLater: TreeEntry[] = [];

  async content(path: string, bytes: Uint8Array, last: boolean): Promise<void> {
    const whole = join(this.#root, path);
    named("write", whole, () => {
      const part = this.#open.get(path) ?? this.#begin(path, whole);
      for (let at = 0; at < bytes.length; ) at += writeSync(part.fd, bytes, at);
      if (!last) return;
      closeSync(part.fd);
      part.fd = -1;
      const entry = this.#files.get(path);
      this.#files.delete(path);
      if (entry) finishEntry(part.path, entry);
      renameSync(part.path, whole);
      this.#open.delete(path);
    });
  }

  async finish(): Promise<void> {
    for (const { path, linkname } of this.#linkLater)
      named("link", join(this.#root, path), () =>
        linkSync(join(this.#root, linkname), join(this.#root, path)),
      );
    for (const pipe of this.#pipes) {
      const path = join(this.#root, pipe.path);
      await makeNode(path, 0o600, "p");
      named("chmod", path, () => finishEntry(path, pipe));
    }
    for (const directory of this.#directories.toReversed()) {
      const path = join(this.#root, directory.path);
      named("chmod", path, () => finishEntry(path, directory));
    }
  }

  /** Takes away what a transfer that failed left unfinished. */
  [Symbol.dispose](): void {
    for (const { fd, path } of this.#open.values()) {
      if (fd >= 0) closeSync(fd);
      rmSync(path, { force: true });
    }
    this.#open.clear();
  }

  #begin(path: string, whole: string): Part {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const name = join(dirname(whole), `.${randomId().slice(0, 16)}.part`);
    const part = { path: name, fd: openSync(name, flags, 0o600) };
    this.#open.set(path, part);
    return part;
  }
}

/** A file on its way to its name; `fd` is -1 once it was closed. */
interface Part {
  readonly path: string;
  fd: number;
}

function makeDirectory(path: string): void {
  const before = lookUp(path);
  if (before && !before.isDirectory()) unlinkSync(path);
  // Writable while it is filled; its own mode is set at the end.
  if (!before?.isDirectory()) mkdirSync(path, 0o700);
  else chmodSync(path, 0o700);
}

function finishEntry(path: string, entry: TreeEntry): void {
  chmodSync(path, entry.mode & 0o7777);
  utimesSync(path, seconds(entry), seconds(entry));
}

const seconds = (entry: TreeEntry) => Number(entry.mtime) / 1e9;

function lookUp(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** A failure says which file it was, in the system's words. */
function named(operation: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw invalid(`${operation} ${path}: ${systemText(error)}`, error);
  }
}
