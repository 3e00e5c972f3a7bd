import { posix } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import { storageError } from "../../base/lib/storage-error.ts";
import type { TarEntry } from "../../base/lib/tar/entry.ts";
import type { TarHandler } from "../../base/lib/tar/parser.ts";
import { closeFd, linkat, mkdirat, O, openat, symlinkat, type Times } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { mountIdAt } from "../../base/sys/mount/tree.ts";
import { removeTreeAt } from "../../base/sys/remove-tree.ts";
import type { RootedDir } from "../../base/sys/rooted-dir.ts";
import { tryLstatat } from "../../base/sys/stat.ts";
import { walkTree } from "../../base/sys/walk.ts";
import {
  type Dress,
  dressDirectory,
  dressFile,
  dressNode,
  makeNode,
  timesOf,
  writeContent,
} from "../snapshot/apply/dress.ts";

export interface ExtractOptions {
  /** A directory is not replaced by anything else, nor anything else by a directory. */
  readonly noOverwriteDirNonDir: boolean;
  /** Owner of everything; undefined: as the tar says. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** Somebody may put a new node in the place that was just cleared. */
const replaceAttempts = 16;

/**
 * Takes a tar's members into a directory of a container. Every name is resolved from the container's root by the kernel and
 * stays inside, whatever links the container, an earlier member or the tar itself put on the way; the last component is never
 * followed. Existing directories are merged, everything else is replaced, as Docker does. The process must have umask 0.
 */
export class Extractor implements TarHandler, Disposable {
  readonly #root: RootedDir;
  readonly #target: string;
  readonly #targetFd: number;
  readonly #options: ExtractOptions;
  /** Times of directories, set when nothing more is put into them. */
  readonly #directories: { readonly path: string; readonly times: Times }[] = [];
  /** The directory of the last member: members of one come together. */
  #parent: { readonly path: string; readonly fd: number } | undefined;
  #file = -1;
  #entry: TarEntry | undefined;
  #name = "";
  #dir = -1;
  #path = "";

  /**
   * `target`: an absolute path in the root, without links, that is a directory. It is opened once: members that lie directly
   * in it go there, even if the container moves it away.
   */
  constructor(root: RootedDir, target: string, options: ExtractOptions) {
    this.#root = root;
    this.#target = target;
    this.#options = options;
    this.#targetFd = root.open(target, O.RDONLY | O.DIRECTORY);
  }

  entry(entry: TarEntry): void {
    const name = cleanName(entry.path);
    if (name === ".." || name.startsWith("../")) {
      throw invalid(`${JSON.stringify(name)} is outside of ${JSON.stringify(this.#target)}`);
    }
    if (name === "." || name === "/") {
      // The target itself exists and is a directory; it stays as it is.
      if (entry.kind === "directory") return;
      throw invalid(`cannot overwrite directory ${JSON.stringify(this.#target)} with non-directory`);
    }
    const path =
      name.startsWith("/") || this.#target === "/"
        ? posix.join(this.#target, name)
        : `${this.#target}/${name}`;
    this.#name = path.slice(path.lastIndexOf("/") + 1);
    const dir = this.#directory(path.slice(0, path.lastIndexOf("/")) || "/");
    this.#dir = dir;
    this.#path = path;
    this.#entry = entry;
    switch (entry.kind) {
      case "file":
        this.#file = this.#replacing(dir, path, () =>
          openat(dir, this.#name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, 0o600),
        );
        break;
      case "directory":
        this.#makeDirectory(dir, path);
        this.#dressDirectory(dir, path, entry);
        break;
      case "link":
        this.#hardLink(dir, path, entry);
        break;
      case "symlink":
        this.#replacing(dir, path, () => symlinkat(entry.linkPath, dir, this.#name));
        dressNode(dir, this.#name, entry, this.#dress(entry));
        break;
      case "char":
      case "block":
      case "fifo":
        this.#replacing(dir, path, () => makeNode(dir, this.#name, entry, 0o600));
        dressNode(dir, this.#name, entry, this.#dress(entry));
        break;
      default:
        throw invalid(`unhandled tar header type ${entry.typeflag.charCodeAt(0)}`);
    }
  }

  data(chunk: Uint8Array, offset: number): void {
    if (this.#file < 0) return;
    try {
      writeContent(this.#file, chunk, offset, this.#entry?.sparse !== undefined);
    } catch (error) {
      throw storageError(error, "write", this.#path);
    }
  }

  end(): void {
    const fd = this.#file;
    const entry = this.#entry;
    if (fd < 0 || !entry) return;
    this.#file = -1;
    try {
      dressFile(fd, this.#dir, this.#name, entry, this.#dress(entry));
    } finally {
      closeFd(fd);
    }
  }

  /** To be called after the last member. */
  finish(): void {
    for (const { path, times } of this.#directories.reverse()) {
      try {
        this.#root.lutimes(path, times);
      } catch (error) {
        // A later member, or the container, replaced it.
        if (!(error instanceof SystemError) || !["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code))
          throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    if (this.#file >= 0) closeFd(this.#file);
    if (this.#parent) closeFd(this.#parent.fd);
    closeFd(this.#targetFd);
    this.#file = -1;
    this.#parent = undefined;
  }

  #directory(path: string): number {
    if (path === this.#target) return this.#targetFd;
    if (this.#parent?.path === path) return this.#parent.fd;
    if (this.#parent) closeFd(this.#parent.fd);
    this.#parent = undefined;
    this.#root.mkdirAll(path, 0o755);
    // Not O_PATH: extended attributes are set through it.
    this.#parent = { path, fd: this.#root.open(path, O.RDONLY | O.DIRECTORY) };
    return this.#parent.fd;
  }

  /** Makes a directory, or takes the one that is there. */
  #makeDirectory(dir: number, path: string): void {
    for (let attempt = 1; ; attempt++) {
      if (!taken(() => mkdirat(dir, this.#name, 0o700), attempt)) return;
      const there = tryLstatat(dir, this.#name);
      if (there?.kind === "directory") return;
      if (there && this.#options.noOverwriteDirNonDir) {
        throw invalid(
          `cannot overwrite non-directory ${JSON.stringify(path)} with directory ${JSON.stringify(this.#target)}`,
        );
      }
      this.#remove(dir, path);
    }
  }

  /** Makes anything else; what is in its place goes first. Mostly nothing is, so that is not looked for. */
  #replacing<R>(dir: number, path: string, make: () => R): R {
    let made: R | undefined;
    for (let attempt = 1; ; attempt++) {
      const inTheWay = taken(() => {
        made = make();
      }, attempt);
      if (!inTheWay) return made as R;
      if (this.#options.noOverwriteDirNonDir && tryLstatat(dir, this.#name)?.kind === "directory") {
        throw invalid(
          `cannot overwrite directory ${JSON.stringify(path)} with non-directory ${JSON.stringify(this.#target)}`,
        );
      }
      this.#remove(dir, path);
    }
  }

  /**
   * Removing a name that something is mounted on would take the mount out of the container: from outside its mount namespace
   * the kernel lets that happen. So it is looked for first; Docker's words.
   */
  #remove(dir: number, path: string): void {
    if (this.#holdsMount(dir)) throw new SystemError(16, "unlinkat", path);
    try {
      removeTreeAt(dir, this.#name);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code === "ENOENT") return;
      // EXDEV is our own refusal to enter a mount, EBUSY the kernel's.
      if (error.code === "EBUSY" || error.code === "EXDEV") throw new SystemError(16, "unlinkat", path);
      throw error;
    }
  }

  #holdsMount(dir: number): boolean {
    const mount = mountIdAt(dir);
    const stat = tryLstatat(dir, this.#name);
    if (!stat) return false;
    if (mountIdAt(dir, this.#name) !== mount) return true;
    if (stat.kind !== "directory") return false;
    const fd = openat(dir, this.#name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      for (const below of walkTree(fd)) if (mountIdAt(below.dir, below.name) !== mount) return true;
      return false;
    } finally {
      closeFd(fd);
    }
  }

  /** Nodes are made for root alone and opened to others when they are complete. */
  #dress(entry: TarEntry): Dress {
    return { owner: this.#options.owner ?? entry, chmod: () => true };
  }

  #dressDirectory(dir: number, path: string, entry: TarEntry): void {
    const fd = openat(dir, this.#name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      dressDirectory(fd, entry, this.#options.owner ?? entry);
    } finally {
      closeFd(fd);
    }
    this.#directories.push({ path, times: timesOf(entry) });
  }

  /** The other end of a hard link is named from the directory that is extracted to. */
  #hardLink(dir: number, path: string, entry: TarEntry): void {
    const name = posix.normalize(entry.linkPath);
    if (name === ".." || name.startsWith("../")) {
      throw invalid(`invalid hardlink ${JSON.stringify(entry.linkPath)} -> ${JSON.stringify(path)}`);
    }
    const existing = posix.join(this.#target, name);
    if (existing === path) return;
    const from = this.#root.open(existing.slice(0, existing.lastIndexOf("/")) || "/", O.PATH | O.DIRECTORY);
    try {
      const base = existing.slice(existing.lastIndexOf("/") + 1);
      this.#replacing(dir, path, () => linkat(from, base, dir, this.#name));
    } finally {
      closeFd(from);
    }
  }
}

/** A name without empty steps, "." and "..", as far as these can be told from the text. Most names are clean already. */
function cleanName(path: string): string {
  if (path !== "" && !/(?:^|\/)\.{0,2}(?:\/|$)/.test(path)) return path;
  return posix.normalize(path === "" ? "." : path).replace(/(.)\/$/, "$1");
}

/** True when the name is there already; gives up when somebody keeps putting something there. */
function taken(make: () => void, attempt: number): boolean {
  try {
    make();
    return false;
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== "EEXIST" || attempt >= replaceAttempts) throw error;
    return true;
  }
}
