import { closeFd, O } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { type FileKind, type FileStat, readDirectory } from "../../../base/sys/stat.ts";

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

export class RootReader implements TreeReader<FileStat> {
  readonly #root: RootedDir;

  constructor(root: RootedDir) {
    this.#root = root;
  }

  lstat(path: string): FileStat | undefined {
    return this.#root.tryLstat(`/${path}`);
  }

  names(path: string): readonly string[] {
    let fd: number;
    try {
      fd = this.#root.open(`/${path}`, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    } catch (error) {
      if (error instanceof SystemError && error.code === "ENOTDIR") return [];
      throw error;
    }
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
}

/** As Linux has it for one path. */
const linkLimit = 255;

/** Where a path leads when its links are followed inside the tree; undefined: nowhere. Throws ELOOP. */
export function followLinks(tree: TreeReader, path: string): string | undefined {
  const done: string[] = [];
  const pending = path.split("/").reverse();
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const at = [...done, part].join("/");
    const node = tree.lstat(at);
    if (!node) return undefined;
    if (node.kind !== "symlink") {
      done.push(part);
      continue;
    }
    if (++links > linkLimit) throw new SystemError(40, "lstat", `/${path}`);
    const target = tree.readlink(at);
    if (target.startsWith("/")) done.length = 0;
    pending.push(...target.split("/").reverse());
  }
  return done.join("/");
}
