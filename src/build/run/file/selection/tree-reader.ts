import { closeFd, O, openat } from "../../../../base/sys/at.ts";
import { followLinks } from "../../../../base/sys/follow-links.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import {
  type FileKind,
  type FileStat,
  lstatat,
  readDirectory,
  tryLstatat,
} from "../../../../base/sys/stat.ts";

/**
 * A tree that does not change, to be looked at: a mounted one or what is remembered of a kept one. Paths have no slash at their
 * front, no "." and "..", and no links; "" is the root.
 */
export interface TreeReader<Node extends { readonly kind: FileKind } = { readonly kind: FileKind }> {
  lstat(path: string): Node | undefined;
  /** In a fixed order; none of what is no directory. */
  names(path: string): readonly string[];
  readlink(path: string): string;
}

/** A mounted tree. */
export class RootReader implements TreeReader<FileStat>, Disposable {
  readonly #root: RootedDir;
  /** The directory that was looked at last: entries of one come together. */
  #held: { readonly path: string; readonly fd: number } | undefined;

  constructor(root: RootedDir) {
    this.#root = root;
  }

  lstat(path: string): FileStat | undefined {
    if (path === "") return lstatat(this.#root.fd);
    const slash = path.lastIndexOf("/");
    const dir = this.directory(path.slice(0, Math.max(slash, 0)));
    return dir === undefined ? undefined : tryLstatat(dir, path.slice(slash + 1));
  }

  names(path: string): readonly string[] {
    const dir = this.directory(path);
    if (dir === undefined) return [];
    // A descriptor that was read is at its end.
    const fd = openat(dir, ".", O.RDONLY | O.DIRECTORY);
    try {
      return readDirectory(fd)
        .map((entry) => entry.name)
        .sort();
    } finally {
      closeFd(fd);
    }
  }

  readlink(path: string): string {
    return this.#root.readlink(`/${path}`);
  }

  /** Descriptor of a directory, valid until the next call; undefined where none is. */
  protected directory(path: string): number | undefined {
    if (this.#held?.path === path) return this.#held.fd;
    this[Symbol.dispose]();
    try {
      const fd = this.#root.open(`/${path}`, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      this.#held = { path, fd };
      return fd;
    } catch (error) {
      if (error instanceof SystemError && (error.code === "ENOENT" || error.code === "ENOTDIR"))
        return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#held) closeFd(this.#held.fd);
    this.#held = undefined;
  }
}

/** Where a path leads when its links are followed inside the tree; undefined: nowhere. Throws ELOOP. */
export function resolvePath(tree: TreeReader, path: string): string | undefined {
  return followLinks(path, (at) => {
    const node = tree.lstat(at);
    if (!node) return null;
    return node.kind === "symlink" ? tree.readlink(at) : undefined;
  })?.join("/");
}
