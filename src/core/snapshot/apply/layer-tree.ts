import { decodePath } from "../../../base/lib/path-bytes.ts";
import {
  chmodat,
  closeFd,
  lchownat,
  mkdirat,
  O,
  openat,
  readlinkat,
  unlinkat,
} from "../../../base/sys/at.ts";
import { copyFile, copySpecial } from "../../../base/sys/copy-node.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { removeTreeAt } from "../../../base/sys/remove-tree.ts";
import { type FileStat, tryLstatat } from "../../../base/sys/stat.ts";
import { copyXattrs, setXattr } from "../../../base/sys/xattr.ts";
import { isWhiteout, type LowerNode, LowerView } from "../lower-view.ts";
import { deepest, targetComponents, tooLong } from "./layer-path.ts";

/** A place for a node: its parent directory, and its own name and path without links. */
export interface Place {
  readonly dir: number;
  readonly name: string;
  readonly components: readonly string[];
}

/** Directories of the layers below, nearest first. A function is asked at most once, when they matter: until then nobody need know them. */
export type LowerPaths = readonly string[] | (() => readonly string[]);

const ENOTDIR = 20;
const ELOOP = 40;
/** Open directories kept: unpacking stays in one directory for a while. */
const cacheLimit = 256;
/** Parents remembered. */
const resolvedLimit = 1024;

/**
 * The tree that a layer is unpacked into, with the layers below as a background. Every directory is reached component by
 * component with O_NOFOLLOW from the root's descriptor; links are resolved here, in text, against the root. Directories
 * that the tar takes for granted come up from the layers below with their metadata, as overlay's copy-up would bring them.
 */
export class LayerTree implements Disposable {
  readonly root: number;
  #lowers: LowerView | undefined;
  readonly #lowerPaths: LowerPaths;
  /** Directories by their path without links. */
  readonly #open = new Map<string, number>();
  /** Path as written -> path without links, for parents seen before. */
  readonly #resolved = new Map<string, readonly string[]>();
  /** Directories that hide everything below them. */
  readonly #opaque = new Set<string>();
  /** Modification times of directories brought up, set at the end. */
  readonly broughtUp = new Map<string, bigint>();

  /** Files that stand here only because a hard link leads to them. */
  readonly #copies = new Set<string>();
  readonly #isOwn: (path: string) => boolean;

  /** Takes over `root`, a directory descriptor. `isOwn` tells what of it this layer brought, where it is a whole tree. */
  constructor(root: number, lowers: LowerPaths, isOwn: (path: string) => boolean = () => true) {
    this.root = root;
    this.#lowerPaths = lowers;
    this.#isOwn = isOwn;
  }

  /** Asked for only when the tar itself does not tell. */
  get lowers(): LowerView {
    const paths = this.#lowerPaths;
    this.#lowers ??= new LowerView(typeof paths === "function" ? paths() : paths);
    return this.#lowers;
  }

  /** Where `components` lies once its parents are resolved; missing parents are made. */
  place(components: readonly string[]): Place {
    const name = components.at(-1) ?? "";
    const written = components.slice(0, -1);
    const key = written.join("/");
    let parent = this.#resolved.get(key);
    if (!parent) {
      parent = this.#resolve(written);
      if (this.#resolved.size >= resolvedLimit) this.#resolved.clear();
      this.#resolved.set(key, parent);
    }
    return { dir: this.directory(parent), name, components: [...parent, name] };
  }

  /** Descriptor of an existing directory at a path without links; valid until the next call. */
  directory(components: readonly string[]): number {
    if (components.length === 0) return this.root;
    const key = components.join("/");
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const parent = this.directory(components.slice(0, -1));
    const fd = openat(parent, components.at(-1) ?? "", O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    if (this.#open.size >= cacheLimit) {
      const [oldest] = this.#open;
      if (oldest) {
        this.#open.delete(oldest[0]);
        closeFd(oldest[1]);
      }
    }
    this.#open.set(key, fd);
    return fd;
  }

  #resolve(written: readonly string[]): string[] {
    const done: string[] = [];
    const pending = [...written].reverse();
    let links = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === "..") {
        done.pop();
        continue;
      }
      const target = this.#step(done, part);
      if (target === undefined) {
        done.push(part);
        // Links lead deeper than any name could.
        if (done.length > deepest) throw tooLong(written.join("/"));
        continue;
      }
      if (++links > 40) throw new SystemError(ELOOP, "resolve", written.join("/"));
      if (target.startsWith("/")) done.length = 0;
      pending.push(...targetComponents(target).reverse());
    }
    return done;
  }

  /** Makes sure that `parent/name` is a directory, or returns the target of the link that it is. */
  #step(parent: readonly string[], name: string): string | undefined {
    const components = [...parent, name];
    if (this.#open.has(components.join("/"))) return undefined;
    const dir = this.directory(parent);
    const stat = tryLstatat(dir, name);
    if (stat?.kind === "directory") return undefined;
    if (stat?.kind === "symlink") return decodePath(readlinkat(dir, name));
    if (stat && !isWhiteout(stat)) {
      if (this.#isOwn(components.join("/"))) throw new SystemError(ENOTDIR, "mkdir", components.join("/"));
      // A file of the layers below makes way for a directory, as it does in an upper directory of overlay, which does not see it.
    }
    if (stat) {
      unlinkat(dir, name);
      mkdirat(dir, name, 0o755);
      this.makeOpaque(components);
      return undefined;
    }
    const below = this.#lower(components);
    if (below?.kind === "symlink") return this.lowers.readlink(components);
    mkdirat(dir, name, 0o755);
    if (below?.kind === "directory") {
      this.lowers.at(components, (node) => dressAsLower(node, dir, name));
      this.broughtUp.set(components.join("/"), below.mtime);
    }
    return undefined;
  }

  /** What the layers below show at a path, unless this layer hides it. */
  #lower(components: readonly string[]): FileStat | undefined {
    if (this.#hidden(components) || this.lowers.empty) return undefined;
    return this.lowers.stat(components);
  }

  #hidden(components: readonly string[]): boolean {
    if (this.#opaque.size === 0) return false;
    if (this.#opaque.has("")) return true;
    return components.some((_, index) => this.#opaque.has(components.slice(0, index + 1).join("/")));
  }

  /** Hides what the layers below have in a directory of this layer. */
  makeOpaque(components: readonly string[]): void {
    if (this.lowers.empty) return;
    setXattr(this.directory(components), "", "trusted.overlay.opaque", Buffer.from("y"));
    this.#opaque.add(components.join("/"));
  }

  /** Removes what stands at a place and forgets what was known of it; of what is no directory, that is only where it leads. */
  clear(place: Place, directory = true): void {
    this.#resolved.clear();
    this.#copies.delete(place.components.join("/"));
    if (!directory) {
      removeTreeAt(place.dir, place.name);
      return;
    }
    const key = place.components.join("/");
    const prefix = `${key}/`;
    const within = (path: string) => path === key || path.startsWith(prefix);
    for (const [path, fd] of [...this.#open]) {
      if (!within(path)) continue;
      this.#open.delete(path);
      closeFd(fd);
    }
    for (const path of [...this.#opaque]) if (within(path)) this.#opaque.delete(path);
    for (const path of [...this.#copies]) if (within(path)) this.#copies.delete(path);
    for (const path of [...this.broughtUp.keys()]) if (within(path)) this.broughtUp.delete(path);
    removeTreeAt(place.dir, place.name);
  }

  /** Makes sure that a hard link's target lies in this tree, copying it up from the layers below where need be. */
  bringUp(place: Place): void {
    if (tryLstatat(place.dir, place.name)) return;
    if (this.#hidden(place.components) || this.lowers.empty) return;
    this.lowers.at(place.components, (node) => copyUp(node, place.dir, place.name));
    this.#copies.add(place.components.join("/"));
  }

  /** Whether the layers below brought what stands at a place of this one's directory. */
  isCopy(place: Place): boolean {
    return this.#copies.has(place.components.join("/"));
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeFd(fd);
    this.#open.clear();
    this.#lowers?.[Symbol.dispose]();
    closeFd(this.root);
  }
}

/** Owner, mode and attributes of a lower directory; its times wait until nothing more is put into it. */
function dressAsLower(node: LowerNode, dir: number, name: string): void {
  lchownat(dir, name, node.stat.uid, node.stat.gid);
  copyXattrs(node.dir, node.name, dir, name);
  chmodat(dir, name, node.stat.mode & 0o7777);
}

function copyUp(node: LowerNode, dir: number, name: string): void {
  const { stat } = node;
  if (stat.kind === "file") copyFile(node.dir, node.name, dir, name, stat);
  else if (stat.kind !== "directory" && stat.kind !== "socket")
    copySpecial(node.dir, node.name, dir, name, stat);
}
