import { isFull, storageError } from "../../../../base/lib/storage-error.ts";
import type { ParentMatches } from "../../../../base/spec/dockerfile/ignore.ts";
import {
  closeFd,
  fchmod,
  linkat,
  lutimesat,
  O,
  openat,
  openat2,
  RESOLVE,
  S_ISGID,
  unlinkat,
} from "../../../../base/sys/at.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { type FileStat, lstatat, readDirectory, tryLstatat } from "../../../../base/sys/stat.ts";
import { listXattrsOf } from "../../../../base/sys/xattr.ts";
import { xattrText } from "../selection/attributes.ts";
import type { SelectionHash } from "../selection/content-digest.ts";
import { Excluded, type Selected } from "../selection/select.ts";
import type { Destination } from "./dest.ts";
import type { EarlierCopy } from "./earlier-copy.ts";
import {
  type CopyLook,
  CopyRefused,
  type CopyWitness,
  checkDepth,
  copyDirectoryNode,
  copyRegularFile,
  copySpecialNode,
  dressDirectory,
  lookOf,
} from "./nodes.ts";

export interface CopyWay extends CopyLook {
  readonly exclude: readonly string[];
  /** Told of everything that is copied, as `digestSelection` has it of the source. */
  readonly hash?: SelectionHash | undefined;
  readonly earlier?: EarlierCopy | undefined;
}

/** A directory of the source beside its copy. */
interface Level {
  readonly from: number;
  readonly to: number;
  /** Path of the copy in the root. */
  readonly path: string;
  /** Below what was named; "" is that itself. */
  readonly below: string;
  /** The copy was made just now: nothing of these names is in it. */
  readonly fresh: boolean;
  /** `to` is the directory as it lies in the layer that is written, not as it shows in the root. */
  readonly direct: boolean;
  /** A file that is made in `to` gets the mode that it is made with, and no other attributes than its own. */
  readonly plain: boolean;
  readonly matches: ParentMatches | undefined;
  readonly depth: number;
}

/** Of one node. */
interface Names {
  readonly name: string;
  /** The copy's. */
  readonly as: string;
  /** As the digest of the source has it. */
  readonly told: string;
}

/** A copy's first level, into what may have been there. */
const firstLevel = { below: "", fresh: false, direct: false, plain: false, matches: undefined, depth: 0 };

/**
 * Copies what a source names, as BuildKit does (tonistiigi/fsutil, copy): a directory's contents go into the destination, which keeps its
 * own metadata if it was there; directories further down get the source's; links further down are copied and never followed, on
 * neither side; files replace files but no directories.
 */
export class Copier {
  readonly #source: RootedDir;
  readonly #dest: Destination;
  readonly #way: CopyWay;
  readonly #excluded: Excluded;
  /** This source's copies of files with several names, by device and inode. What another source made may be replaced by now. */
  readonly #links = new Map<string, { readonly path: string; readonly hash: string }>();

  constructor(source: RootedDir, dest: Destination, way: CopyWay) {
    this.#source = source;
    this.#dest = dest;
    this.#way = way;
    this.#excluded = new Excluded(way.exclude);
  }

  /** `dest` as the instruction has it: with a slash at its end it is a directory. */
  copy(selected: Selected, dest: string): void {
    const { owner } = this.#way;
    this.#links.clear();
    if (selected.kind === "directory" && selected.below === undefined) {
      const path = this.#dest.resolve(dest);
      const there = this.#dest.root.tryStat(`/${path}`);
      if (there && there.kind !== "directory")
        throw new CopyRefused(`cannot copy to non-directory: /${path}`);
      if (!there) this.#dest.makeDirectories(path, 0o755, owner);
      this.#copyContents(selected, path, there === undefined);
      return;
    }
    const before = dest.endsWith("/") ? dest : dest.slice(0, dest.lastIndexOf("/") + 1);
    this.#dest.makeDirectories(this.#dest.resolve(before), 0o755, owner);
    if (selected.below !== undefined) {
      this.#copyWithParents(selected, this.#dest.resolve(dest));
      return;
    }
    let path = this.#dest.resolve(dest);
    const there = this.#dest.root.tryStat(`/${path}`);
    if (there?.kind === "directory") {
      const name = selected.named.slice(selected.named.lastIndexOf("/") + 1);
      path = path === "" ? name : `${path}/${name}`;
    }
    this.#intoParent(selected, path);
  }

  /** The directories above what was named are made like those of the source, existing ones stay as they are. */
  #copyWithParents(selected: Selected, base: string): void {
    const below = (selected.below ?? "").split("/").filter((part) => part !== "");
    const top = below.length === 0 ? selected.path : selected.path.slice(0, -below.join("/").length);
    this.#dest.makeDirectories(base, 0o755, this.#way.owner);
    let path = base;
    let source = top.replace(/\/$/, "");
    for (const name of below.slice(0, -1)) {
      source = source === "" ? name : `${source}/${name}`;
      const to = path === "" ? name : `${path}/${name}`;
      const [from, dir] = [this.#openSource(source), this.#dest.open(path)];
      try {
        const stat = lstatat(from);
        if (copyDirectoryNode(dir, name, `/${to}`, stat, false)) this.#dressDirectory(dir, name, from, stat);
        this.#way.hash?.node(source, stat, xattrText(from, "", listXattrsOf(from)), "");
      } finally {
        closeFd(from);
        closeFd(dir);
      }
      path = to;
    }
    if (below.length === 0) this.#copyContents(selected, base);
    else this.#intoParent(selected, [path, below.at(-1)].filter((part) => part !== "").join("/"));
  }

  /** A directory that was made for them stands for the one that they come from: it is as old, and gets the mode that is asked for. */
  #copyContents(selected: Selected, path: string, made = false): void {
    const from = this.#openSource(selected.path);
    const own = made ? this.#dest.openOwn(path) : undefined;
    const to = own ?? this.#dest.open(path);
    try {
      this.#way.hash?.contents();
      const plain = made && !handsDown(to);
      this.#entries({ ...firstLevel, from, to, path, fresh: made, direct: own !== undefined, plain });
      this.#way.hash?.directoryEnd();
      const { chmod, time } = this.#way;
      if (made && chmod) fchmod(to, chmod(lstatat(to).mode));
      if (made && time === undefined) stamp(to, ".", lstatat(from).mtime);
    } finally {
      closeFd(from);
      closeFd(to);
    }
  }

  /** One node at a path whose directory is there. */
  #intoParent(selected: Selected, path: string): void {
    const cut = (whole: string) => whole.slice(0, Math.max(whole.lastIndexOf("/"), 0));
    const from = this.#openSource(cut(selected.path));
    try {
      this.#dest.makeDirectories(cut(path), 0o755, this.#way.owner);
      const to = this.#dest.open(cut(path));
      try {
        // What was named is judged where it was found, not here; what lies below it is judged by its place below the pivot.
        const below = selected.below ?? "";
        const above = below.slice(0, Math.max(below.lastIndexOf("/"), 0));
        const level: Level = { ...firstLevel, from, to, path: cut(path), below: above };
        this.#node(
          level,
          {
            name: last(selected.path),
            as: last(path),
            told: selected.below === undefined ? last(selected.named) : below,
          },
          selected.below !== undefined,
        );
      } finally {
        closeFd(to);
      }
    } finally {
      closeFd(from);
    }
  }

  #openSource(path: string): number {
    const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
    return openat2(this.#source.fd, path === "" ? "." : path, O.RDONLY | O.DIRECTORY, resolve);
  }

  #entries(level: Level): void {
    checkDepth(level.depth, level.path);
    for (const { name } of readDirectory(level.from).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      this.#node(level, { name, as: name, told: name }, true);
    }
  }

  #node(level: Level, names: Names, judged: boolean): void {
    const { name, as } = names;
    const stat = lstatat(level.from, name);
    const below = level.below === "" ? name : `${level.below}/${name}`;
    const directory = stat.kind === "directory";
    const verdict = judged ? this.#excluded.judge(below, directory, level.matches) : undefined;
    if (verdict?.leave) return;
    const path = level.path === "" ? as : `${level.path}/${as}`;
    if (directory) {
      this.#directory(level, { ...names, path, below, stat, matches: verdict?.below });
      return;
    }
    if (!level.fresh) this.#makeRoom(level.to, as, path);
    this.#leaf(level, names, path, stat);
  }

  #directory(
    level: Level,
    node: Names & {
      readonly path: string;
      readonly below: string;
      readonly stat: FileStat;
      readonly matches: ParentMatches | undefined;
    },
  ): void {
    const fresh = copyDirectoryNode(level.to, node.as, `/${node.path}`, node.stat, level.fresh);
    const from = openat(level.from, node.name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    const { hash } = this.#way;
    try {
      hash?.node(node.told, node.stat, xattrText(from, "", listXattrsOf(from)), "");
      const { to, direct } = this.#openCopy(level, node, fresh);
      try {
        const { path, below, matches } = node;
        const plain = fresh && (level.plain || !handsDown(to));
        this.#entries({ from, to, path, below, fresh, direct, plain, matches, depth: level.depth + 1 });
      } finally {
        closeFd(to);
      }
      this.#dressDirectory(level.to, node.as, from, node.stat);
      hash?.directoryEnd();
    } finally {
      closeFd(from);
    }
  }

  /** What is made in a directory that was not there before can be made in the layer itself, which costs half. */
  #openCopy(level: Level, { as, path }: { readonly as: string; readonly path: string }, fresh: boolean) {
    const own = fresh && !level.direct ? this.#dest.openOwn(path) : undefined;
    const to = own ?? openat(level.to, as, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    return { to, direct: level.direct || own !== undefined };
  }

  #dressDirectory(dir: number, name: string, from: number, stat: FileStat): void {
    const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      dressDirectory(from, fd, stat, this.#way);
    } finally {
      closeFd(fd);
    }
  }

  #makeRoom(dir: number, name: string, path: string): void {
    const there = tryLstatat(dir, name);
    if (!there) return;
    if (there.kind === "directory") throw new CopyRefused(`cannot replace to directory /${path} with file`);
    unlinkat(dir, name);
  }

  #leaf(level: Level, { name, as, told }: Names, path: string, stat: FileStat): void {
    const { hash } = this.#way;
    let seen: { readonly xattrs: string; readonly content: string } | undefined;
    const witness: CopyWitness | undefined = hash && {
      saw: (xattrs, content) => {
        seen = { xattrs, content };
        hash.node(told, stat, xattrs, content);
      },
    };
    if (stat.kind !== "file") {
      copySpecialNode(level.from, name, level.to, as, stat, this.#way, witness);
      return;
    }
    const key = stat.nlink > 1 ? `${stat.device}:${stat.ino}` : undefined;
    const twin = key === undefined ? undefined : this.#links.get(key);
    if (twin) this.#way.earlier?.severalNames(twin.path);
    if (twin && this.#link(twin.path, level, as)) {
      witness?.saw(xattrText(level.from, name), twin.hash);
      return;
    }
    // Only in a directory of the copy's own, and where it gets nothing from that, is it the same whatever the root is.
    const earlier = level.direct && level.plain ? this.#way.earlier : undefined;
    const look = lookOf(stat, this.#way);
    const known = earlier?.has(path, stat, look, { told: hash !== undefined });
    if (known) witness?.saw(known.xattrs ?? "", known.content ?? "");
    else {
      try {
        copyRegularFile(level.from, name, level.to, as, stat, this.#way, { plain: level.plain, witness });
      } catch (error) {
        throw isFull(error) ? storageError(error, "copy", `/${path}`) : error;
      }
      earlier?.copied(path, stat, look, seen);
    }
    if (key !== undefined) this.#links.set(key, { path, hash: seen?.content ?? "" });
  }

  /** False when the first copy is not there any more, or has as many names as it can. */
  #link(twin: string, { to, direct }: Level, name: string): boolean {
    const make = (from: number, existing: string) => linkat(from, existing, to, name);
    try {
      if (direct) this.#dest.ownParent(twin, make);
      else this.#dest.parent(twin, make);
      return true;
    } catch (error) {
      if (error instanceof SystemError && ["ENOENT", "EMLINK", "ENOTDIR"].includes(error.code)) return false;
      throw error;
    }
  }
}

function last(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** New files would get their group (inode(7), S_ISGID) or an ACL (acl(5)) from the directory. */
function handsDown(dir: number): boolean {
  return (lstatat(dir).mode & S_ISGID) !== 0 || listXattrsOf(dir).includes("system.posix_acl_default");
}

/** Sets the times of what a path holds. */
export function stamp(dir: number, name: string, time: bigint | undefined): void {
  if (time !== undefined) lutimesat(dir, name, { atime: time, mtime: time });
}
