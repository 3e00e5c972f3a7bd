import { closeFd, O, openat, readlinkat } from "../../../base/sys/at.ts";
import { removeTreeAt } from "../../../base/sys/remove-tree.ts";
import { type FileStat, lstatat, namesIn, tryLstatat } from "../../../base/sys/stat.ts";
import { LinkedCopies } from "./copy/linked-copies.ts";
import {
  asIs,
  checkDepth,
  copyDirectoryNode,
  copyRegularFile,
  copySpecialNode,
  dressDirectory,
} from "./copy/nodes.ts";
import { sameContent } from "./same-content.ts";
import { xattrText } from "./selection/attributes.ts";
import { deviceOf } from "./selection/content-digest.ts";

/**
 * Puts what is different in the tree `upper` from `lower` (descriptors of directories; undefined: nothing) onto `root`: new and changed
 * nodes replace what stands there, directories merge and take upper's metadata, what is gone from lower is removed. No link is followed
 * in any of them. The metadata of the topmost directory stay.
 */
export function applyChanges(root: number, lower: number | undefined, upper: number): void {
  new Changes(root).directory({ to: root, lower, upper, path: "", depth: 0 });
}

/** A directory of both trees beside the one that gets the difference. */
interface Level {
  readonly to: number;
  readonly lower: number | undefined;
  readonly upper: number;
  /** Of `to`, below the root. */
  readonly path: string;
  readonly depth: number;
}

class Changes {
  readonly #linked: LinkedCopies;

  constructor(root: number) {
    this.#linked = new LinkedCopies(root);
  }

  directory(level: Level): void {
    const { to, lower, upper, path, depth } = level;
    checkDepth(depth, path);
    const names = new Set(namesIn(upper));
    for (const name of lower === undefined ? [] : namesIn(lower))
      if (!names.has(name) && tryLstatat(to, name)) removeTreeAt(to, name);
    for (const name of [...names].sort()) this.#node(level, name);
  }

  #node(level: Level, name: string): void {
    const { to, lower, upper } = level;
    const stat = lstatat(upper, name);
    const before = lower === undefined ? undefined : tryLstatat(lower, name);
    if (stat.kind === "directory") {
      this.#subdirectory(level, name, stat, before);
      return;
    }
    if (before && lower !== undefined && same({ dir: lower, stat: before }, { dir: upper, stat }, name))
      return;
    if (tryLstatat(to, name)) removeTreeAt(to, name);
    if (this.#linked.link(stat, to, name, below(level.path, name))) return;
    if (stat.kind === "file") copyRegularFile(upper, name, to, name, stat, asIs);
    else copySpecialNode(upper, name, to, name, stat, asIs);
  }

  #subdirectory(level: Level, name: string, stat: FileStat, before: FileStat | undefined): void {
    const { to, lower, upper, path, depth } = level;
    const there = tryLstatat(to, name);
    if (there && there.kind !== "directory") removeTreeAt(to, name);
    const from = openDirectory(upper, name);
    const low = lower === undefined || before?.kind !== "directory" ? undefined : openDirectory(lower, name);
    try {
      const fresh = there?.kind !== "directory";
      // What is as it was is not made: nothing of it belongs to the difference.
      if (
        fresh &&
        before?.kind === "directory" &&
        low !== undefined &&
        !differs(low, from, below(path, name), depth + 1)
      )
        return;
      copyDirectoryNode(to, name, name, stat, fresh);
      const into = openDirectory(to, name);
      try {
        this.directory({ to: into, lower: low, upper: from, path: below(path, name), depth: depth + 1 });
        const changed =
          before?.kind !== "directory" || low === undefined || !sameLook(low, from, before, stat);
        if (changed || fresh) dressDirectory(from, into, stat, asIs);
      } finally {
        closeFd(into);
      }
    } finally {
      closeFd(from);
      if (low !== undefined) closeFd(low);
    }
  }
}

function below(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

function openDirectory(dir: number, name: string): number {
  return openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
}

/** Whether anything below two directories is different, or they themselves. */
function differs(lower: number, upper: number, path: string, depth: number): boolean {
  checkDepth(depth, path);
  if (!sameLook(lower, upper, lstatat(lower), lstatat(upper))) return true;
  const names = namesIn(upper);
  const before = new Set(namesIn(lower));
  if (names.length !== before.size || names.some((name) => !before.has(name))) return true;
  return names.some((name) => {
    const [low, high] = [lstatat(lower, name), lstatat(upper, name)];
    if (low.kind !== "directory" || high.kind !== "directory")
      return low.kind !== high.kind || !same({ dir: lower, stat: low }, { dir: upper, stat: high }, name);
    const [a, b] = [openDirectory(lower, name), openDirectory(upper, name)];
    try {
      return differs(a, b, below(path, name), depth + 1);
    } finally {
      closeFd(a);
      closeFd(b);
    }
  });
}

/** Metadata of two directories, times left out: they change with what is in them. */
function sameLook(lower: number, upper: number, before: FileStat, now: FileStat): boolean {
  return (
    before.mode === now.mode &&
    before.uid === now.uid &&
    before.gid === now.gid &&
    xattrText(lower, "") === xattrText(upper, "")
  );
}

interface Place {
  readonly dir: number;
  readonly stat: FileStat;
}

/** Two nodes of one name that are no directories: metadata, times and what they hold. */
function same(lower: Place, upper: Place, name: string): boolean {
  const [before, now] = [lower.stat, upper.stat];
  const look =
    before.kind === now.kind &&
    before.mode === now.mode &&
    before.uid === now.uid &&
    before.gid === now.gid &&
    before.size === now.size &&
    before.mtime === now.mtime &&
    deviceOf(before) === deviceOf(now);
  if (!look) return false;
  if (now.kind === "symlink") return readlinkat(lower.dir, name).equals(readlinkat(upper.dir, name));
  if (xattrText(lower.dir, name) !== xattrText(upper.dir, name)) return false;
  return now.kind !== "file" || sameContent(lower.dir, upper.dir, name, now);
}
