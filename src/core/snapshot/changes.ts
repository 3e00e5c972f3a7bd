import { AT_FDCWD, closeFd, O, openat } from "../../base/sys/at.ts";
import { type FileStat, lstatat, namesIn } from "../../base/sys/stat.ts";
import { walkTree, withinMount } from "../../base/sys/walk.ts";
import { getXattr } from "../../base/sys/xattr.ts";
import { isWhiteout, LowerView } from "./lower-view.ts";
import type { SnapshotLayout } from "./snapshotter.ts";
import { walkLayer } from "./walk-layer.ts";

/**
 * One difference between a snapshot and its parent. `node` tells where the new state lies: a directory descriptor (valid
 * until the next change is asked for) and a name.
 */
export type Change =
  | {
      readonly kind: "added" | "changed";
      /** Without a leading slash; "" is the root. */
      readonly path: string;
      readonly node: { readonly dir: number; readonly name: string; readonly stat: FileStat };
      /** What it was before; undefined for a new one and inside a directory that was replaced. */
      readonly before: FileStat | undefined;
      /** A directory that hides everything the parent had in it. */
      readonly opaque: boolean;
      /** A directory that counts only if something in it does. */
      readonly quiet: boolean;
    }
  | {
      readonly kind: "deleted";
      readonly path: string;
      /** An opaque directory above says so already. */
      readonly implied: boolean;
    };

export interface ChangesOptions {
  /** Absolute paths that the engine itself made for its mounts (/etc/hosts, /proc, volumes): no change of the container's. */
  readonly ignored?: ReadonlySet<string>;
}

/**
 * Every difference, a directory before what it holds, in the byte order of names. Directories that are only on the way to a
 * change are among them, as `quiet`.
 */
export function* snapshotChanges(
  layout: SnapshotLayout,
  options: ChangesOptions = {},
): Generator<Change, void, undefined> {
  const ignored = options.ignored ?? new Set<string>();
  const parents = new Set([...ignored].map((path) => path.slice(0, path.lastIndexOf("/"))));
  const all = layout.kind === "overlay" ? overlayChanges(layout) : treeChanges(layout.tree, layout.parent);
  for (const change of all) {
    if (change.kind === "deleted") {
      yield change;
      continue;
    }
    const { before, node } = change;
    const ours = before === undefined && ignored.has(`/${change.path}`);
    if (node.stat.kind !== "directory") {
      if (!ours) yield { ...change, quiet: false };
      continue;
    }
    // Making an ignored name in a directory changes that directory's time.
    const was = before && parents.has(`/${change.path}`) ? { ...before, mtime: node.stat.mtime } : before;
    yield { ...change, quiet: !change.opaque && (ours || (was !== undefined && sameNode(was, node.stat))) };
  }
}

type RawChange = Omit<Exclude<Change, { kind: "deleted" }>, "quiet"> | Extract<Change, { kind: "deleted" }>;

/** Names that fuse-overlayfs keeps for itself: beside overlay's own whiteouts and attributes it leaves such files. */
const markPrefix = ".wh.";

function* overlayChanges({
  upper,
  base,
  lowers,
  marks = false,
}: SnapshotLayout & { readonly kind: "overlay" }): Generator<RawChange, void, undefined> {
  using below = new LowerView(lowers);
  const root = openat(AT_FDCWD, upper, O.PATH | O.DIRECTORY);
  /** Directories of the upper one that nothing shines through: opaque ones, new ones where nothing was, and those in them. */
  const own = new Set<string>();
  /** New directories: nothing below them was there before, so that need not be looked for. */
  const fresh = new Set<string>();
  try {
    yield {
      kind: "changed",
      path: "",
      node: { dir: root, name: "", stat: lstatat(root) },
      before: below.stat([]),
      opaque: false,
    };
    for (const { dir, name, path, stat } of walkLayer(root, base)) {
      if (marks && name.startsWith(markPrefix)) continue;
      const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
      const hidden = own.has(parent);
      const once = below.empty || fresh.has(parent) ? undefined : below.stat(path.split("/"));
      const before = hidden ? undefined : once;
      if (isWhiteout(stat)) {
        if (before) yield { kind: "deleted", path, implied: false };
        continue;
      }
      const directory = stat.kind === "directory";
      if (directory && once?.kind !== "directory") fresh.add(path);
      const opaque = directory && !hidden && before?.kind === "directory" && isOpaque(dir, name);
      if (directory && (opaque || before?.kind !== "directory")) own.add(path);
      yield { kind: once ? "changed" : "added", path, node: { dir, name, stat }, before, opaque };
      if (!opaque) continue;
      const kept = new Set(namesIn(dir, name));
      for (const gone of [...below.names(path.split("/"))].sort()) {
        if (!kept.has(gone)) yield { kind: "deleted", path: `${path}/${gone}`, implied: true };
      }
    }
  } finally {
    closeFd(root);
  }
}

function* treeChanges(tree: string, parent: string | undefined): Generator<RawChange, void, undefined> {
  using below = new LowerView(parent === undefined ? [] : [parent]);
  const root = openat(AT_FDCWD, tree, O.PATH | O.DIRECTORY);
  try {
    const stat = lstatat(root);
    yield {
      kind: "changed",
      path: "",
      node: { dir: root, name: "", stat },
      before: below.stat([]),
      opaque: false,
    };
    yield* gone(below, root, "", "");
    for (const entry of walkTree(root, { crosses: withinMount })) {
      const { dir, name, path } = entry;
      const before = below.stat(path.split("/"));
      const same = before !== undefined && sameNode(before, entry.stat);
      if (!same || entry.stat.kind === "directory") {
        yield {
          kind: before ? "changed" : "added",
          path,
          node: { dir, name, stat: entry.stat },
          before,
          opaque: false,
        };
      }
      if (before?.kind === "directory" && entry.stat.kind === "directory")
        yield* gone(below, dir, name, path);
    }
  } finally {
    closeFd(root);
  }
}

/** What a directory of the parent holds and the same directory of the tree does not. */
function* gone(
  below: LowerView,
  dir: number,
  name: string,
  path: string,
): Generator<RawChange, void, undefined> {
  const kept = new Set(namesIn(dir, name === "" ? "." : name));
  for (const each of [...below.names(path === "" ? [] : path.split("/"))].sort()) {
    if (!kept.has(each))
      yield { kind: "deleted", path: path === "" ? each : `${path}/${each}`, implied: false };
  }
}

function isOpaque(dir: number, name: string): boolean {
  return getXattr(dir, name, "trusted.overlay.opaque")?.toString() === "y";
}

function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) found.push(path.slice(0, at));
  return found;
}

/** Equal in everything that a write, chmod, chown or touch changes. */
function sameNode(a: FileStat, b: FileStat): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.rdevMajor === b.rdevMajor &&
    a.rdevMinor === b.rdevMinor &&
    a.mtime === b.mtime &&
    (a.kind === "directory" || a.size === b.size)
  );
}

/** One line of `docker diff`. */
export interface ListedChange {
  readonly kind: "added" | "changed" | "deleted";
  /** Absolute. */
  readonly path: string;
}

/** A directory with another time only: something was in it for a while, or `touch` was there. Docker says nothing of it. */
function touched({ before, node, opaque }: Exclude<Change, { kind: "deleted" }>): boolean {
  return (
    !opaque &&
    before?.kind === "directory" &&
    node.stat.kind === "directory" &&
    sameNode({ ...before, mtime: node.stat.mtime }, node.stat)
  );
}

/**
 * What `docker diff` shows, sorted by path: a directory that is only the way to a change counts as changed, one that is as it
 * was and has no change in it does not count at all.
 */
export function listChanges(layout: SnapshotLayout, options: ChangesOptions = {}): readonly ListedChange[] {
  const listed = new Map<string, ListedChange["kind"]>();
  const quiet = new Map<string, ListedChange["kind"]>();
  for (const change of snapshotChanges(layout, options)) {
    if (change.path === "") continue;
    const into = change.kind !== "deleted" && (change.quiet || touched(change)) ? quiet : listed;
    into.set(change.path, change.kind);
  }
  for (const path of [...listed.keys()]) {
    for (const above of ancestors(path)) {
      if (!listed.has(above)) listed.set(above, quiet.get(above) ?? "changed");
    }
  }
  const changes = [...listed].map(([path, kind]) => ({ kind, path: `/${path}` }));
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}
