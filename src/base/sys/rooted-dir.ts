import { readSync, writeSync } from "node:fs";
import { decodePath } from "../lib/path-bytes.ts";
import {
  AT_FDCWD,
  chmodFd,
  closeFd,
  fchmod,
  fchown,
  lchownat,
  linkat,
  lutimesat,
  mkdirat,
  mknodat,
  O,
  openat,
  openat2,
  RESOLVE,
  readlinkat,
  renameat,
  reopen,
  rmdirat,
  symlinkat,
  type Times,
  unlinkat,
} from "./at.ts";
import { SystemError } from "./libc.ts";
import { removeTreeAt } from "./remove-tree.ts";
import { type DirectoryEntry, type FileStat, lstatat, readDirectory } from "./stat.ts";
import { getXattr, listXattrs, removeXattr, setXattr } from "./xattr.ts";

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** As the kernel's own limit (path_resolution(7)). */
const maxLinks = 40;

/**
 * A directory tree seen as if it were "/": the only way to touch a tree that a container, an image or a build can write.
 *
 * Every path is resolved by the kernel with openat2(RESOLVE_IN_ROOT): absolute paths, "..", and symbolic links stay inside,
 * however they are swapped meanwhile; magic links are refused. Calls that make, remove or change a name resolve its parent
 * that way and use the *at call on the last component, which they never follow.
 *
 *     using root = RootedDir.open("/var/lib/.../merged");
 *     root.mkdirAll("/etc/app", 0o755);
 *     root.writeFile("/etc/app/x", bytes, 0o644);
 */
export class RootedDir implements Disposable {
  /** O_PATH descriptor of the root. */
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** `path` itself is trusted: it is resolved as usual. */
  static open(path: string): RootedDir {
    return new RootedDir(openat(AT_FDCWD, path, O.PATH | O.DIRECTORY));
  }

  /** Takes over a directory descriptor. */
  static adopt(fd: number): RootedDir {
    return new RootedDir(fd);
  }

  /** A directory of the tree as a root of its own. */
  sub(path: string): RootedDir {
    return new RootedDir(this.open(path, O.PATH | O.DIRECTORY));
  }

  /** Opens; the caller closes. Links are followed inside the root unless O.NOFOLLOW is given. */
  open(path: string, flags: number, mode = 0): number {
    return openat2(this.fd, path, flags, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS, mode);
  }

  stat(path: string): FileStat {
    return this.#with(path, O.PATH, (fd) => lstatat(fd));
  }

  lstat(path: string): FileStat {
    return this.#with(path, O.PATH | O.NOFOLLOW, (fd) => lstatat(fd));
  }

  /** `lstat`, or undefined when the path leads nowhere. */
  tryLstat(path: string): FileStat | undefined {
    return optional(() => this.lstat(path));
  }

  tryStat(path: string): FileStat | undefined {
    return optional(() => this.stat(path));
  }

  readdir(path: string): DirectoryEntry[] {
    return this.#with(path, O.RDONLY | O.DIRECTORY, readDirectory);
  }

  readlink(path: string): string {
    return this.#parent(path, (dir, name) => decodePath(readlinkat(dir, name)));
  }

  mkdir(path: string, mode: number): void {
    this.#parent(path, (dir, name) => mkdirat(dir, name, mode));
  }

  /**
   * Makes what is missing of a path, following links inside the root on the way; each directory it makes gets mode and owner.
   * Fails with ENOTDIR where something else stands. Returns the directories made.
   */
  mkdirAll(path: string, mode: number, owner?: Owner): string[] {
    return this.#mkdirAll(path, mode, owner, 0);
  }

  /** `mkdirAll` that makes, too, what a dangling link on the way leads to, inside the root. */
  mkdirAllThroughLinks(path: string, mode: number, owner?: Owner): string[] {
    return this.#mkdirAll(path, mode, owner, maxLinks);
  }

  #mkdirAll(path: string, mode: number, owner: Owner | undefined, links: number): string[] {
    const made: string[] = [];
    let done = "";
    for (const part of path.split("/")) {
      if (part === "" || part === ".") continue;
      done += `/${part}`;
      if (part === ".." || this.tryStat(done)?.kind === "directory") continue;
      try {
        this.mkdir(done, mode);
      } catch (error) {
        if (!(error instanceof SystemError) || error.code !== "EEXIST") throw error;
        // A dangling link, or somebody was faster: it counts only if it leads to a directory.
        if (links > 0 && this.tryLstat(done)?.kind === "symlink" && !this.tryStat(done)) {
          const target = this.readlink(done);
          const place = target.startsWith("/") ? target : `${done.slice(0, done.lastIndexOf("/"))}/${target}`;
          made.push(...this.#mkdirAll(place, mode, owner, links - 1));
        }
        this.#with(done, O.PATH | O.DIRECTORY, () => undefined);
        continue;
      }
      made.push(done);
      this.#with(done, O.RDONLY | O.DIRECTORY | O.NOFOLLOW, (fd) => {
        if (owner) fchown(fd, owner.uid, owner.gid);
        fchmod(fd, mode);
      });
    }
    return made;
  }

  symlink(target: string, path: string): void {
    this.#parent(path, (dir, name) => symlinkat(target, dir, name));
  }

  /** Hard link; a symbolic link at `existing` is linked itself. */
  link(existing: string, path: string): void {
    this.#parent(existing, (fromDir, from) =>
      this.#parent(path, (dir, name) => linkat(fromDir, from, dir, name)),
    );
  }

  mknod(path: string, mode: number, device: bigint | number = 0): void {
    this.#parent(path, (dir, name) => mknodat(dir, name, mode, device));
  }

  rename(from: string, to: string, flags = 0): void {
    this.#parent(from, (fromDir, fromName) =>
      this.#parent(to, (dir, name) => renameat(fromDir, fromName, dir, name, flags)),
    );
  }

  unlink(path: string): void {
    this.#parent(path, unlinkat);
  }

  rmdir(path: string): void {
    this.#parent(path, rmdirat);
  }

  /** Removes a file or a whole directory; nothing is followed. Idempotent. */
  removeAll(path: string): void {
    optional(() => this.#parent(path, removeTreeAt));
  }

  chown(path: string, uid: number, gid: number): void {
    this.#with(path, O.PATH, (fd) => lchownat(fd, "", uid, gid));
  }

  /** Follows links inside the root, as a link has no mode. */
  chmod(path: string, mode: number): void {
    this.#with(path, O.PATH, (fd) => chmodFd(fd, mode));
  }

  lutimes(path: string, times: Times): void {
    this.#parent(path, (dir, name) => lutimesat(dir, name, times));
  }

  getXattr(path: string, key: string): Buffer | undefined {
    return this.#parent(path, (dir, name) => getXattr(dir, name, key));
  }

  listXattrs(path: string): string[] {
    return this.#parent(path, (dir, name) => listXattrs(dir, name));
  }

  setXattr(path: string, key: string, value: Uint8Array): void {
    this.#parent(path, (dir, name) => setXattr(dir, name, key, value));
  }

  removeXattr(path: string, key: string): void {
    this.#parent(path, (dir, name) => removeXattr(dir, name, key));
  }

  /** Reads at most `limit` bytes of a regular file; EFBIG when it is longer, EINVAL when it is no regular file. */
  readFile(path: string, limit: number): Buffer {
    return this.#withFile(path, "read", O.RDONLY, (fd) => {
      if (lstatat(fd).size > limit) throw new SystemError(27, "read", path);
      const parts: Buffer[] = [];
      for (let total = 0; ; ) {
        const chunk = Buffer.alloc(Math.min(65536, limit + 1 - total));
        const length = readSync(fd, chunk, 0, chunk.length, null);
        if (length === 0) return Buffer.concat(parts);
        parts.push(chunk.subarray(0, length));
        total += length;
        if (total > limit) throw new SystemError(27, "read", path);
      }
    });
  }

  /** Writes a regular file, following links inside the root; a new one gets `mode` whatever the umask. */
  writeFile(path: string, bytes: Uint8Array, mode: number): void {
    const write = (fd: number) => {
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fchmod(fd, mode);
    };
    for (let attempt = 1; !this.tryStat(path); attempt++) {
      // O_EXCL would not follow a dangling link; without it, O_NONBLOCK is for what may come meanwhile.
      const exclusive = this.tryLstat(path)?.kind === "symlink" ? O.NONBLOCK | O.NOCTTY : O.EXCL;
      try {
        this.#with(path, O.WRONLY | O.CREAT | exclusive, write, mode);
        return;
      } catch (error) {
        const taken = error instanceof SystemError && error.code === "EEXIST";
        if (!taken || attempt >= 16) throw error;
      }
    }
    this.#withFile(path, "write", O.WRONLY | O.TRUNC, write);
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }

  #with<R>(path: string, flags: number, use: (fd: number) => R, mode = 0): R {
    const fd = this.open(path, flags, mode);
    try {
      return use(fd);
    } finally {
      closeFd(fd);
    }
  }

  /** Opens a regular file only, without touching anything else that stands there (a device, a fifo). */
  #withFile<R>(path: string, call: string, flags: number, use: (fd: number) => R): R {
    return this.#with(path, O.PATH, (found) => {
      const { kind } = lstatat(found);
      if (kind !== "file") throw new SystemError(kind === "directory" ? 21 : 22, call, path);
      const fd = reopen(found, flags);
      try {
        return use(fd);
      } finally {
        closeFd(fd);
      }
    });
  }

  /** Runs `use` on the parent directory and the last component; the root itself is (root, "."). */
  #parent<R>(path: string, use: (dir: number, name: string) => R): R {
    const trimmed = path.replace(/\/+$/, "");
    const slash = trimmed.lastIndexOf("/");
    const name = trimmed.slice(slash + 1);
    if (name === "" || name === ".") return this.#with(trimmed, O.PATH | O.DIRECTORY, (dir) => use(dir, "."));
    if (name === "..") return this.#with(trimmed, O.PATH | O.DIRECTORY, (dir) => use(dir, "."));
    const before = trimmed.slice(0, slash + 1);
    if (before === "" || before === "/") return use(this.fd, name);
    return this.#with(before, O.PATH | O.DIRECTORY, (dir) => use(dir, name));
  }
}

function optional<R>(run: () => R): R | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof SystemError && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return undefined;
    throw error;
  }
}
