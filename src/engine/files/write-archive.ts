import { writeSync } from "node:fs";
import { posix } from "node:path";
import { TugError } from "../../base/lib/errors.ts";
import { type TarEntry, TarError } from "../../base/lib/tar/entry.ts";
import type { TarHandler } from "../../base/lib/tar/parser.ts";
import {
  closeFd,
  fchmod,
  fchown,
  ftruncate,
  futimes,
  makedev,
  O,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  type Times,
} from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";

export interface WriteArchiveOptions {
  readonly noOverwriteDirNonDir: boolean;
  /** Who owns what is written; undefined: whom the archive names. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Unpacks an archive into a directory of a container: every member is resolved by the kernel inside that directory's root,
 * links on the way included, so that neither the archive nor a process of the container leads a write anywhere else.
 */
export class ArchiveWriter implements TarHandler, Disposable {
  readonly #root: RootedDir;
  readonly #options: WriteArchiveOptions;
  readonly #directories: { readonly path: string; readonly times: Times }[] = [];
  #file = -1;
  #entry: TarEntry | undefined;

  /** `root` is the directory to unpack into, as a root of its own. */
  constructor(root: RootedDir, options: WriteArchiveOptions) {
    this.#root = root;
    this.#options = options;
  }

  entry(entry: TarEntry): void {
    const path = posix.normalize(`/${entry.path}`).replace(/(.)\/$/, "$1");
    if (posix.normalize(entry.path).startsWith("..")) {
      throw new TugError("invalid-argument", `invalid archive: ${JSON.stringify(entry.path)} is outside of the root`);
    }
    this.#entry = entry;
    if (path === "/") return;
    this.#makeWay(path, entry.kind === "directory");
    this.#root.mkdirAll(posix.dirname(path), 0o755);
    switch (entry.kind) {
      case "directory":
        return this.#directory(path, entry);
      case "file":
        this.#file = this.#root.open(path, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW | O.CLOEXEC, 0o600);
        return;
      case "symlink":
        this.#root.symlink(entry.linkPath, path);
        break;
      case "link":
        this.#root.link(posix.normalize(`/${entry.linkPath}`), path);
        return;
      case "char":
      case "block":
      case "fifo":
        this.#root.mknod(path, deviceMode(entry), makedev(entry.deviceMajor, entry.deviceMinor));
        break;
      default:
        throw new TarError(`unhandled tar header type ${entry.typeflag}`);
    }
    this.#finish(path, entry);
  }

  data(chunk: Uint8Array, offset: number): void {
    if (this.#file < 0) return;
    for (let at = 0; at < chunk.length; ) at += writeSync(this.#file, chunk, at, chunk.length - at, offset + at);
  }

  end(): void {
    const entry = this.#entry;
    const fd = this.#file;
    if (fd < 0 || !entry) return;
    this.#file = -1;
    try {
      if (entry.sparse) ftruncate(fd, entry.size);
      const { uid, gid } = this.#ownerOf(entry);
      fchown(fd, uid, gid);
      fchmod(fd, entry.mode & 0o7777);
      futimes(fd, timesOf(entry));
    } finally {
      closeFd(fd);
    }
  }

  /** Directory times last: putting something into one changes them. */
  finish(): void {
    for (const { path, times } of this.#directories.reverse()) this.#root.lutimes(path, times);
  }

  [Symbol.dispose](): void {
    if (this.#file >= 0) closeFd(this.#file);
    this.#file = -1;
  }

  /** What stands in the way goes, as tar(1) does it; a directory stays for a directory. */
  #makeWay(path: string, directory: boolean): void {
    const there = this.#root.tryLstat(path);
    if (!there) return;
    const isDirectory = there.kind === "directory" || (directory && this.#root.tryStat(path)?.kind === "directory");
    if (isDirectory && directory) return;
    if (this.#options.noOverwriteDirNonDir) {
      if (isDirectory) {
        throw new TugError("invalid-argument", `cannot overwrite directory ${JSON.stringify(path)} with non-directory ${JSON.stringify(path)}`);
      }
      if (directory) {
        throw new TugError("invalid-argument", `cannot overwrite non-directory ${JSON.stringify(path)} with directory ${JSON.stringify(path)}`);
      }
    }
    try {
      this.#root.removeAll(path);
    } catch (error) {
      // A mount point (a bound /etc/hosts) cannot be replaced: say so as the kernel does.
      if (error instanceof SystemError && error.code === "EBUSY") {
        throw new TugError("internal", `unlinkat ${path}: device or resource busy`, { cause: error });
      }
      throw error;
    }
  }

  #directory(path: string, entry: TarEntry): void {
    if (!this.#root.tryStat(path)) this.#root.mkdir(path, 0o700);
    const { uid, gid } = this.#ownerOf(entry);
    this.#root.chown(path, uid, gid);
    this.#root.chmod(path, entry.mode & 0o7777);
    this.#directories.push({ path, times: timesOf(entry) });
  }

  #finish(path: string, entry: TarEntry): void {
    const { uid, gid } = this.#ownerOf(entry);
    this.#root.lchown(path, uid, gid);
    if (entry.kind !== "symlink") this.#root.chmod(path, entry.mode & 0o7777);
    this.#root.lutimes(path, timesOf(entry));
  }

  #ownerOf(entry: TarEntry): { readonly uid: number; readonly gid: number } {
    return this.#options.owner ?? entry;
  }
}

function deviceMode(entry: TarEntry): number {
  const kind = entry.kind === "char" ? S_IFCHR : entry.kind === "block" ? S_IFBLK : S_IFIFO;
  return kind | 0o600;
}

function timesOf(entry: TarEntry): Times {
  return { atime: entry.atime ?? entry.mtime, mtime: entry.mtime };
}
