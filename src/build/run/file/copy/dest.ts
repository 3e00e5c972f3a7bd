import {
  closeFd,
  fchmod,
  fchown,
  lutimesat,
  mkdirat,
  O,
  openat,
  openat2,
  RESOLVE,
  S_ISGID,
} from "../../../../base/sys/at.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { lstatat, tryLstatat } from "../../../../base/sys/stat.ts";
import { evaluateLinks } from "../../../../core/files/paths.ts";
import type { Ids } from "./owner.ts";

const ENOENT = 2;
const ENOTDIR = 20;

/**
 * The root that is written to. A destination's links are followed inside the root once, as text (`resolve`); from then on every
 * directory is opened without following any. Directories that are made on the way get `owner`.
 */
export class Destination implements Disposable {
  readonly root: RootedDir;
  /** Nanoseconds that what is made gets; undefined: now. */
  readonly time: bigint | undefined;
  readonly #own: RootedDir | undefined;
  /** Directories made on the way to something: their times are set last, when nothing more is put into them. */
  readonly #made = new Set<string>();

  /** `own`: where the files lie that are made in `root`, which is an overlay. */
  constructor(root: RootedDir, epoch: number | undefined, own?: RootedDir) {
    this.root = root;
    this.#own = own;
    this.time = epoch === undefined ? undefined : BigInt(epoch) * 1_000_000_000n;
  }

  /** Where a path leads, without a slash at its front; "" is the root. Parts that are not there stay as they are. */
  resolve(path: string): string {
    return evaluateLinks(this.root, path, { mustExist: false }).slice(1);
  }

  /** Makes what is missing of a resolved path. Throws ENOTDIR where something else stands. */
  makeDirectories(path: string, mode: number, owner: Ids | undefined): void {
    let dir = openat2(this.root.fd, ".", O.RDONLY | O.DIRECTORY, RESOLVE.BENEATH);
    try {
      let done = "";
      for (const name of path.split("/")) {
        if (name === "") continue;
        done = done === "" ? name : `${done}/${name}`;
        const there = tryLstatat(dir, name);
        if (there && there.kind !== "directory") throw new SystemError(ENOTDIR, "mkdir", `/${done}`);
        if (!there) mkdirat(dir, name, mode);
        const next = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
        closeFd(dir);
        dir = next;
        if (there) continue;
        if (owner) fchown(dir, owner.uid, owner.gid);
        // What a set-group-id directory hands down stays.
        fchmod(dir, mode | (lstatat(dir).mode & S_ISGID));
        this.#made.add(done);
      }
    } finally {
      closeFd(dir);
    }
  }

  /** An open directory at a resolved path; the caller closes. */
  open(path: string): number {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
    return openat2(this.root.fd, path === "" ? "." : path, O.RDONLY | O.DIRECTORY, resolve);
  }

  /** The same of a directory that something was made in, where what was made lies by itself; undefined where that is the root. */
  openOwn(path: string): number | undefined {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
    return this.#own && openat2(this.#own.fd, path, O.RDONLY | O.DIRECTORY, resolve);
  }

  /** The directory that holds a resolved path's last name, and that name; the root itself is (root, "."). */
  parent<R>(path: string, use: (dir: number, name: string) => R): R {
    const slash = path.lastIndexOf("/");
    const dir = this.open(slash < 0 ? "" : path.slice(0, slash));
    try {
      return use(dir, path === "" ? "." : path.slice(slash + 1));
    } finally {
      closeFd(dir);
    }
  }

  /** Like `parent`, of what was made, from `openOwn`. */
  ownParent<R>(path: string, use: (dir: number, name: string) => R): R {
    const slash = path.lastIndexOf("/");
    const dir = this.openOwn(path.slice(0, Math.max(slash, 0)));
    if (dir === undefined) throw new SystemError(ENOENT, "openat", `/${path}`);
    try {
      return use(dir, path.slice(slash + 1));
    } finally {
      closeFd(dir);
    }
  }

  /** To be called when everything is done. */
  finish(): void {
    const { time } = this;
    if (time === undefined) return;
    for (const path of [...this.#made].reverse()) {
      this.parent(path, (dir, name) => {
        if (tryLstatat(dir, name)) lutimesat(dir, name, { atime: time, mtime: time });
      });
    }
  }

  [Symbol.dispose](): void {
    this.root[Symbol.dispose]();
    this.#own?.[Symbol.dispose]();
  }
}
