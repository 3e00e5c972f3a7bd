import { AT_FDCWD, closeFd, linkat, O, openat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { removeTreeAt } from "../../../base/sys/remove-tree.ts";
import { type FileStat, lstatat, readDirectory, tryLstatat } from "../../../base/sys/stat.ts";
import { LinkedCopies } from "./copy/linked-copies.ts";
import {
  asIs,
  checkDepth,
  copyDirectoryNode,
  copyRegularFile,
  copySpecialNode,
  dressDirectory,
} from "./copy/nodes.ts";

/** From this size on a copy costs more than a link. */
const large = 1 << 20;

/**
 * Puts a layer's own files (a tree without whiteouts) onto what `into` holds, as stacking layers means: directories merge and take the
 * layer's metadata, everything else replaces what stands there. Large files are hard links where both lie on one file system: neither is
 * written to again. Small ones are not, as programs look at how many names their settings have: cron reads none with two. The root's own
 * metadata stay. True when there are links.
 */
export function restackLayer(layer: string, into: string): boolean {
  const from = openat(AT_FDCWD, layer, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    const to = openat(AT_FDCWD, into, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      const restacker = new Restacker(to);
      restacker.entries({ from, to, path: "", depth: 0 });
      return restacker.linked;
    } finally {
      closeFd(to);
    }
  } finally {
    closeFd(from);
  }
}

/** A directory of the layer beside the one that gets what is in it. */
interface Level {
  readonly from: number;
  readonly to: number;
  /** Of `to`, below the root. */
  readonly path: string;
  readonly depth: number;
}

class Restacker {
  /** Cleared by the first link that cannot be made: another file system, or another subvolume. */
  #linking = true;
  #linked = false;
  readonly #copies: LinkedCopies;

  constructor(root: number) {
    this.#copies = new LinkedCopies(root);
  }

  get linked(): boolean {
    return this.#linked;
  }

  entries(level: Level): void {
    checkDepth(level.depth, level.path);
    for (const { name } of readDirectory(level.from)) {
      const stat = lstatat(level.from, name);
      const path = level.path === "" ? name : `${level.path}/${name}`;
      if (stat.kind === "directory") this.#directory(level, name, path, stat);
      else this.#leaf(level, name, path, stat);
    }
  }

  #directory({ from, to, depth }: Level, name: string, path: string, stat: FileStat): void {
    const there = tryLstatat(to, name);
    if (there && there.kind !== "directory") removeTreeAt(to, name);
    copyDirectoryNode(to, name, name, stat, there?.kind !== "directory");
    const source = openat(from, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      const copy = openat(to, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      try {
        this.entries({ from: source, to: copy, path, depth: depth + 1 });
        dressDirectory(source, copy, stat, asIs);
      } finally {
        closeFd(copy);
      }
    } finally {
      closeFd(source);
    }
  }

  #leaf({ from, to }: Level, name: string, path: string, stat: FileStat): void {
    if (tryLstatat(to, name)) removeTreeAt(to, name);
    const worth = stat.size >= large || stat.nlink > 1;
    if (worth && this.#linking && this.#link(from, to, name)) return;
    if (this.#copies.link(stat, to, name, path)) return;
    if (stat.kind === "file") copyRegularFile(from, name, to, name, stat, asIs);
    else copySpecialNode(from, name, to, name, stat, asIs);
  }

  #link(from: number, to: number, name: string): boolean {
    try {
      linkat(from, name, to, name);
      this.#linked = true;
      return true;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code === "EMLINK") return false;
      if (!["EXDEV", "EPERM", "EOPNOTSUPP", "EACCES"].includes(error.code)) throw error;
      this.#linking = false;
      return false;
    }
  }
}
