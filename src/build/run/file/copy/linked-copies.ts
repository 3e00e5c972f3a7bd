import { closeFd, linkat, O, openat2, RESOLVE } from "../../../../base/sys/at.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import type { FileStat } from "../../../../base/sys/stat.ts";

/** Copies of files that have several names, below one root: what is one file in the source is one file there, in whatever directories its names are. */
export class LinkedCopies {
  readonly #root: number;
  /** Paths of the first copies, by device and inode of what they were taken of. */
  readonly #first = new Map<string, string>();

  /** `root`: descriptor of a directory, which nobody changes but the caller. */
  constructor(root: number) {
    this.#root = root;
  }

  /** Makes `name` in `dir`, which lies at `path`, another name of the copy that there is. False: it is to be copied. */
  link({ device, ino, nlink }: FileStat, dir: number, name: string, path: string): boolean {
    if (nlink < 2) return false;
    const key = `${device}:${ino}`;
    const first = this.#first.get(key);
    if (first !== undefined && this.#linkTo(first, dir, name)) return true;
    this.#first.set(key, path);
    return false;
  }

  /** False when the copy has as many names as it can. */
  #linkTo(path: string, dir: number, name: string): boolean {
    const slash = path.lastIndexOf("/");
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
    const above = openat2(
      this.#root,
      slash < 0 ? "." : path.slice(0, slash),
      O.RDONLY | O.DIRECTORY,
      resolve,
    );
    try {
      linkat(above, path.slice(slash + 1), dir, name);
      return true;
    } catch (error) {
      if (error instanceof SystemError && error.code === "EMLINK") return false;
      throw error;
    } finally {
      closeFd(above);
    }
  }
}
