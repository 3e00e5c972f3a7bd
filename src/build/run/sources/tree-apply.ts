import {
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
  renameat,
  rmdirat,
  S_IFIFO,
  symlinkat,
  unlinkat,
} from "../../../base/sys/at.ts";
import { removeXattr, setXattr } from "../../../base/sys/xattr.ts";
import { attributePairs } from "../file/selection/attributes.ts";
import { sameEntry, type TreeEntry, type TreeIndex } from "./tree-index.ts";
import type { ReceivedTree } from "./tree-receiver.ts";

/**
 * Turns a tree into another one: only what differs is touched, and a file never changes in place (a clone may share it), it is replaced. Every
 * directory is reached without following links. In slices, each ended by a yield. `staging` is where `received.staged` lie.
 */
export function* applyTree(
  tree: number,
  staging: number,
  before: TreeIndex,
  received: ReceivedTree,
): Generator<void, void, undefined> {
  const places = new Places(tree);
  try {
    const { entries } = received;
    const touched = new Set<string>();
    const stays = (path: string, old: TreeEntry): boolean => {
      const now = entries.get(path);
      if (!now) return false;
      if (old.kind === "directory") return now.kind === "directory";
      return now === old && !movedTwin(now, before, received);
    };
    // Children stand behind their directories.
    for (const [path, old] of [...before.entries].reverse()) {
      if (stays(path, old)) continue;
      yield;
      touched.add(parentOf(path));
      places.in(path, (dir, name) => (old.kind === "directory" ? rmdirat(dir, name) : unlinkat(dir, name)));
      if (old.kind === "directory") places.forget(path);
    }
    const links: TreeEntry[] = [];
    for (const [path, entry] of entries) {
      const old = before.entries.get(path);
      if (old && stays(path, old)) continue;
      yield;
      touched.add(parentOf(path));
      if (entry.kind === "file" && entry.linkname !== "") links.push(entry);
      else places.in(path, (dir, name) => make(dir, name, staging, entry, received));
    }
    for (const entry of links) {
      yield;
      places.in(entry.linkname, (from, existing) => {
        const held = openat(from, ".", O.PATH | O.DIRECTORY);
        try {
          places.in(entry.path, (dir, name) => linkat(held, existing, dir, name));
        } finally {
          closeFd(held);
        }
      });
    }
    for (const [path, entry] of [...entries].reverse()) {
      if (entry.kind !== "directory") continue;
      const old = before.entries.get(path);
      if (old && !touched.has(path) && sameEntry(old, entry)) continue;
      yield;
      dressDirectory(places.open(path), entry, old?.kind === "directory" ? old.attributes : "");
    }
  } finally {
    places.close();
  }
}

/** Another name of a file that is replaced must become a name of the new one. */
function movedTwin(entry: TreeEntry, before: TreeIndex, received: ReceivedTree): boolean {
  if (entry.kind !== "file" || entry.linkname === "") return false;
  const target = received.entries.get(entry.linkname);
  return target === undefined || target !== before.entries.get(entry.linkname);
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function make(dir: number, name: string, staging: number, entry: TreeEntry, received: ReceivedTree): void {
  switch (entry.kind) {
    case "directory":
      mkdirat(dir, name, 0o700);
      return;
    case "file": {
      const staged = received.staged.get(entry.path);
      if (!staged) throw new Error(`the content of ${entry.path} was not staged`);
      renameat(staging, staged.name, dir, name);
      return;
    }
    case "symlink":
      symlinkat(entry.linkname, dir, name);
      break;
    case "fifo":
      mknodat(dir, name, S_IFIFO | entry.mode);
      break;
  }
  lchownat(dir, name, entry.uid, entry.gid);
  lutimesat(dir, name, { atime: entry.mtime, mtime: entry.mtime });
}

/** `before`: attributes that it may have from when it was another. */
function dressDirectory(fd: number, entry: TreeEntry, before = ""): void {
  fchown(fd, entry.uid, entry.gid);
  if (before !== entry.attributes) for (const [key] of attributePairs(before)) removeXattr(fd, "", key);
  for (const [key, value] of attributePairs(entry.attributes)) setXattr(fd, "", key, value);
  fchmod(fd, entry.mode);
  lutimesat(fd, "", { atime: entry.mtime, mtime: entry.mtime });
}

/** The last directories that were opened: entries of one come together. */
class Places {
  readonly #tree: number;
  readonly #open = new Map<string, number>();

  constructor(tree: number) {
    this.#tree = tree;
  }

  in<R>(path: string, use: (dir: number, name: string) => R): R {
    return use(this.open(parentOf(path)), path.slice(path.lastIndexOf("/") + 1));
  }

  /** Valid until the next call. */
  open(path: string): number {
    if (path === "") return this.#tree;
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
    const fd = openat2(this.#tree, path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve);
    const [oldest] = this.#open;
    if (this.#open.size >= 32 && oldest) {
      this.#open.delete(oldest[0]);
      closeFd(oldest[1]);
    }
    this.#open.set(path, fd);
    return fd;
  }

  forget(path: string): void {
    const fd = this.#open.get(path);
    if (fd === undefined) return;
    this.#open.delete(path);
    closeFd(fd);
  }

  close(): void {
    for (const fd of this.#open.values()) closeFd(fd);
    this.#open.clear();
  }
}

/** Fills an empty tree with what another one has, files as hard links; `keeps` says which paths. */
export function* cloneTree(
  from: number,
  to: number,
  entries: Iterable<TreeEntry>,
): Generator<void, void, undefined> {
  const source = new Places(from);
  const target = new Places(to);
  try {
    const directories: TreeEntry[] = [];
    for (const entry of entries) {
      yield;
      target.in(entry.path, (dir, name) => {
        if (entry.kind === "directory") {
          mkdirat(dir, name, 0o700);
          directories.push(entry);
        } else {
          source.in(entry.path, (old, existing) => linkat(old, existing, dir, name));
        }
      });
    }
    for (const entry of directories.reverse()) dressDirectory(target.open(entry.path), entry);
  } finally {
    source.close();
    target.close();
  }
}
