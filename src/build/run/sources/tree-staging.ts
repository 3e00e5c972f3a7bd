import { mkdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { CryptoHasher } from "bun";
import { storageError } from "../../../base/lib/storage-error.ts";
import { AT_FDCWD, closeFd, fchmod, fchown, futimes, O, openat } from "../../../base/sys/at.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { setXattr } from "../../../base/sys/xattr.ts";
import { attributePairs } from "../file/selection/attributes.ts";
import type { TreeEntry } from "./tree-index.ts";

/** Files of a sender's that are open at a time. */
const openLimit = 64;

interface Incoming {
  readonly name: string;
  readonly hash: CryptoHasher;
  size: number;
  /** -1: closed for now. */
  fd: number;
}

export interface StagedFile {
  /** Its name in the staging directory. */
  readonly name: string;
  readonly size: number;
  /** Hex of the SHA-256, taken while the bytes came. */
  readonly content: string;
}

/**
 * Contents that came but are not in the tree yet: plain files in one directory, complete with owner, mode and times. The directory is made with the
 * first of them and goes in the end.
 */
export class TreeStaging implements AsyncDisposable {
  readonly #path: string;
  #dir: number | undefined;
  readonly #incoming = new Map<string, Incoming>();
  readonly #open = new Set<Incoming>();
  #count = 0;

  /** `path`: of the directory, which is not there yet. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Descriptor of the directory. */
  get dir(): number {
    if (this.#dir !== undefined) return this.#dir;
    mkdirSync(this.#path, { mode: 0o700 });
    this.#dir = openat(AT_FDCWD, this.#path, O.RDONLY | O.DIRECTORY);
    return this.#dir;
  }

  /** The next bytes of a file; its facts when these were the last. Throws resource-exhausted when the disk is full. */
  write(entry: TreeEntry, bytes: Uint8Array, last: boolean): StagedFile | undefined {
    try {
      return this.#write(entry, bytes, last);
    } catch (error) {
      throw storageError(error, "write", join(this.#path, entry.path));
    }
  }

  #write(entry: TreeEntry, bytes: Uint8Array, last: boolean): StagedFile | undefined {
    const file = this.#file(entry.path);
    for (let at = 0; at < bytes.length; ) at += writeSync(file.fd, bytes, at, bytes.length - at);
    file.hash.update(bytes);
    file.size += bytes.length;
    if (!last) return undefined;
    fchown(file.fd, entry.uid, entry.gid);
    for (const [key, value] of attributePairs(entry.attributes)) setXattr(this.dir, file.name, key, value);
    fchmod(file.fd, entry.mode);
    futimes(file.fd, { atime: entry.mtime, mtime: entry.mtime });
    this.#close(file);
    this.#incoming.delete(entry.path);
    return { name: file.name, size: file.size, content: file.hash.digest("hex") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of [...this.#open]) this.#close(file);
    if (this.#dir === undefined) return;
    closeFd(this.#dir);
    this.#dir = undefined;
    await removeDirectory(this.#path);
  }

  #file(path: string): Incoming {
    let file = this.#incoming.get(path);
    if (!file) {
      const name = String(this.#count++);
      const fd = openat(this.dir, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600);
      file = { name, hash: new CryptoHasher("sha256"), size: 0, fd };
      this.#incoming.set(path, file);
    } else if (file.fd < 0) {
      file.fd = openat(this.dir, file.name, O.WRONLY | O.APPEND | O.NOFOLLOW);
    } else {
      return file;
    }
    this.#open.add(file);
    const [oldest] = this.#open;
    if (this.#open.size > openLimit && oldest) this.#close(oldest);
    return file;
  }

  #close(file: Incoming): void {
    if (file.fd >= 0) closeFd(file.fd);
    file.fd = -1;
    this.#open.delete(file);
  }
}
