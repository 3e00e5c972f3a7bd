import type { TarEntry } from "../../../base/lib/tar/entry.ts";
import { TarError } from "../../../base/lib/tar/entry.ts";
import type { TarHandler } from "../../../base/lib/tar/parser.ts";
import {
  AT_FDCWD,
  closeFd,
  linkat,
  lutimesat,
  mkdirat,
  mknodat,
  O,
  openat,
  S_IFCHR,
  symlinkat,
  type Times,
} from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { lstatat, readDirectory, tryLstatat } from "../../../base/sys/stat.ts";
import { isWhiteout } from "../lower-view.ts";
import {
  type Dress,
  dressDirectory,
  dressFile,
  dressNode,
  makeNode,
  timesOf,
  writeContent,
} from "./dress.ts";
import {
  aufsLinks,
  aufsPrefix,
  layerComponents,
  opaqueMarker,
  outside,
  whiteoutPrefix,
} from "./layer-path.ts";
import { LayerTree, type LowerPaths, type Place } from "./layer-tree.ts";

/** How removals are kept: as overlay's marks in an upper directory, or by removing from a whole tree. */
export type LayerTarget =
  | { readonly kind: "overlay"; readonly upper: string; readonly lowers: readonly string[] }
  | { readonly kind: "tree"; readonly tree: string };

/**
 * Applies a layer's tar to a directory (image-spec v1.1, layer.md, "Applying Changesets"). What the tar says stays inside:
 * names are cleaned as text, parents are walked without following, links are resolved against the tree's root, and overlay's
 * own attributes are not taken from images. The caller runs as root with umask 0; nobody else can reach the tree.
 */
export class LayerApplier implements TarHandler, Disposable {
  /** Bytes of all regular files and of where links lead, the size that Docker shows for a layer. */
  size = 0;
  entries = 0;
  readonly #tree: LayerTree;
  readonly #overlay: boolean;
  /** Times of directories, set when nothing more is put into them. */
  readonly #directories = new Map<string, Times>();
  /** In a whole tree: what this layer brought, parents included, which its whiteouts spare. */
  readonly #touched: Set<string> | undefined;
  /** The regular file being written. */
  #file = -1;
  #entry: TarEntry | undefined;
  #place: Place | undefined;

  /** `lowers`: how to find out about the layers below, in place of the target's own. */
  constructor(target: LayerTarget, lowers: LowerPaths = target.kind === "overlay" ? target.lowers : []) {
    this.#overlay = target.kind === "overlay";
    this.#touched = this.#overlay ? undefined : new Set();
    const path = target.kind === "overlay" ? target.upper : target.tree;
    const root = openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY);
    this.#noteGroup(lstatat(root));
    this.#tree = new LayerTree(root, lowers, (at) => this.#touched?.has(at) ?? true);
  }

  entry(entry: TarEntry): void {
    this.entries++;
    const components = layerComponents(entry.path);
    const name = components.at(-1);
    if (name === undefined) {
      if (entry.kind === "directory") this.#dressDirectory([], entry);
      return;
    }
    if (components.length > 1 && components[0]?.startsWith(aufsPrefix)) {
      // aufs kept what has several names there: it is linked to by other members, and is itself no part of the image.
      if (components[0] !== aufsLinks || entry.kind !== "file") return;
    } else if (name.startsWith(whiteoutPrefix)) {
      this.#whiteout(components, name, entry);
      return;
    }
    const place = this.#tree.place(components);
    this.#touch(place.components);
    switch (entry.kind) {
      case "file":
        this.#file = this.#replacing(place, () =>
          openat(place.dir, place.name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, entry.mode & 0o777),
        );
        this.#entry = entry;
        this.#place = place;
        this.size += entry.size;
        break;
      case "directory":
        this.#directory(place, entry);
        break;
      case "link":
        this.#hardLink(place, entry);
        break;
      case "symlink":
        this.#replacing(place, () => symlinkat(entry.linkPath, place.dir, place.name));
        this.size += Buffer.byteLength(entry.linkPath);
        dressNode(place.dir, place.name, entry, this.#dress(entry));
        break;
      case "char":
      case "block":
      case "fifo":
        if (!this.#overlay && isWhiteoutNode(entry)) {
          this.#clear(place);
          break;
        }
        this.#replacing(place, () => makeNode(place.dir, place.name, entry, entry.mode & 0o777));
        dressNode(place.dir, place.name, entry, this.#dress(entry));
        break;
      default:
        throw new TarError(`unhandled tar header type ${entry.typeflag.charCodeAt(0)}`);
    }
  }

  data(chunk: Uint8Array, offset: number): void {
    if (this.#file < 0) return;
    writeContent(this.#file, chunk, offset, this.#entry?.sparse !== undefined);
  }

  end(): void {
    const fd = this.#file;
    const entry = this.#entry;
    const place = this.#place;
    if (fd < 0 || !entry || !place) return;
    this.#file = -1;
    try {
      dressFile(fd, place.dir, place.name, entry, this.#dress(entry));
    } finally {
      closeFd(fd);
    }
  }

  /** Whether the tar told of the root directory itself. */
  get dressedRoot(): boolean {
    return this.#directories.has("");
  }

  /** To be called after the last member. */
  finish(): void {
    const links = this.#tree.place([aufsLinks]);
    if (tryLstatat(links.dir, links.name)) this.#clear(links);
    for (const [path, mtime] of this.#tree.broughtUp) {
      if (!this.#directories.has(path)) this.#directories.set(path, { atime: mtime, mtime });
    }
    for (const [path, times] of this.#directories) {
      lutimesat(this.#tree.directory(path === "" ? [] : path.split("/")), "", times);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file >= 0) closeFd(this.#file);
    this.#file = -1;
    this.#tree[Symbol.dispose]();
  }

  /** Makes a node; what stands there already is removed first, as later members replace earlier ones. */
  #replacing<R>(place: Place, make: () => R): R {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "EEXIST") throw error;
    }
    this.#clear(place);
    return make();
  }

  #clear(place: Place): void {
    const directory = tryLstatat(place.dir, place.name)?.kind === "directory";
    this.#tree.clear(place, directory);
    if (!directory) return;
    const key = place.components.join("/");
    for (const path of [...this.#directories.keys()]) {
      if (path === key || path.startsWith(`${key}/`)) this.#directories.delete(path);
    }
  }

  #directory(place: Place, entry: TarEntry): void {
    let hides = false;
    try {
      mkdirat(place.dir, place.name, entry.mode & 0o777);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "EEXIST") throw error;
      if (tryLstatat(place.dir, place.name)?.kind !== "directory") {
        this.#clear(place);
        mkdirat(place.dir, place.name, entry.mode & 0o777);
        // It takes the place of a whiteout or a file of this layer: what lies below must not shine through.
        hides = true;
      }
    }
    if (hides) this.#tree.makeOpaque(place.components);
    this.#dressDirectory(place.components, entry);
  }

  #dressDirectory(components: readonly string[], entry: TarEntry): void {
    const fd = this.#tree.directory(components);
    if (dressDirectory(fd, entry, entry)) this.#aclSeen = true;
    this.#noteGroup(entry);
    this.#directories.set(components.join("/"), timesOf(entry));
  }

  #hardLink(place: Place, entry: TarEntry): void {
    const wanted = layerComponents(entry.linkPath);
    if (wanted.length === 0) throw outside(entry.linkPath);
    const target = this.#tree.place(wanted);
    this.#tree.bringUp(target);
    // The look-up of the target may have closed the directory of the place.
    const dir = this.#tree.directory(place.components.slice(0, -1));
    const from = this.#tree.directory(target.components.slice(0, -1));
    const found = tryLstatat(from, target.name);
    if (!found || (this.#overlay && isWhiteout(found))) {
      throw new TarError(`link ${entry.linkPath} ${entry.path}: no such file or directory`);
    }
    if (place.components.join("/") === target.components.join("/")) return;
    this.#replacing({ ...place, dir }, () => linkat(from, target.name, dir, place.name));
  }

  /** Nodes are made with their mode, which set-id bits and access lists still change. */
  #dress(entry: TarEntry): Dress {
    return {
      owner: entry,
      owned: this.#madeAsRoots(entry),
      chmod: (acl) => {
        this.#aclSeen ||= acl;
        return (entry.mode & 0o7000) !== 0 || this.#aclSeen;
      },
    };
  }

  /**
   * Whether a new node has that owner by itself: everything is root's as long as no directory hands its group on (set-gid, or a file system
   * mounted with "bsdgroups"), which one that is root's does to no effect. Saves a journalled write a file. A whole tree has directories of
   * other layers, which may.
   */
  #madeAsRoots(entry: TarEntry): boolean {
    if (!this.#overlay || entry.uid !== 0 || entry.gid !== 0) return false;
    return !this.#otherGroups && this.#tree.broughtUp.size === 0;
  }

  #noteGroup({ mode, gid }: { readonly mode: number; readonly gid: number }): void {
    if (gid !== 0 || (mode & 0o2000) !== 0) this.#otherGroups = true;
  }

  /** A directory has another group than root's, or hands on its own. */
  #otherGroups = false;

  /** A default ACL of a directory changes the modes of what is made in it. */
  #aclSeen = false;

  #whiteout(components: readonly string[], name: string, entry: TarEntry): void {
    const parent = components.slice(0, -1);
    if (name === opaqueMarker) {
      const { components: path } = this.#tree.place([...parent, "x"]);
      const directory = path.slice(0, -1);
      this.#touch(directory);
      if (this.#overlay) this.#tree.makeOpaque(directory);
      else this.#removeOthers(directory);
      return;
    }
    if (name.startsWith(aufsPrefix)) return;
    const removed = name.slice(whiteoutPrefix.length);
    if (removed === "" || removed === "." || removed === "..") throw outside(entry.path);
    const place = this.#tree.place([...parent, removed]);
    this.#touch(place.components.slice(0, -1));
    if (!this.#overlay) {
      this.#removeOthers(place.components.slice(0, -1), removed);
      return;
    }
    // Nothing below: nothing to remove. In this layer itself a whiteout hides only what lies below.
    if (this.#tree.lowers.empty) return;
    if (this.#tree.isCopy(place)) this.#clear(place);
    const own = tryLstatat(place.dir, place.name);
    if (own?.kind === "directory") this.#tree.makeOpaque(place.components);
    else if (!own) mknodat(place.dir, place.name, S_IFCHR, 0);
  }

  #touch(components: readonly string[]): void {
    if (!this.#touched) return;
    for (let length = components.length; length > 0; length--) {
      const path = components.slice(0, length).join("/");
      if (this.#touched.has(path)) return;
      this.#touched.add(path);
    }
  }

  /** In a whole tree: removes what this layer did not bring, in a directory or one name of it. */
  #removeOthers(directory: readonly string[], only?: string): void {
    const names =
      only === undefined ? readDirectory(this.#tree.directory(directory)).map((e) => e.name) : [only];
    for (const name of names) {
      const components = [...directory, name];
      const dir = this.#tree.directory(directory);
      const stat = tryLstatat(dir, name);
      if (!stat) continue;
      if (!this.#touched?.has(components.join("/"))) this.#clear({ dir, name, components });
      else if (stat.kind === "directory") this.#removeOthers(components);
    }
  }
}

/** What overlay would take for a removal is one in a whole tree as well: an image is the same on every driver. */
function isWhiteoutNode(entry: TarEntry): boolean {
  return entry.kind === "char" && entry.deviceMajor === 0 && entry.deviceMinor === 0;
}
