import { decodePath } from "../../base/lib/path-bytes.ts";
import { AT_FDCWD, closeFd, O, openat, readlinkat } from "../../base/sys/at.ts";
import { type FileStat, lstatat, readDirectory, tryLstatat } from "../../base/sys/stat.ts";
import { getXattr } from "../../base/sys/xattr.ts";
import type { SnapshotLayout } from "./snapshotter.ts";

/** A node of the layers below: what it is, and where, as (directory descriptor, name) of the layer that shows it. */
export interface LowerNode {
  readonly stat: FileStat;
  readonly dir: number;
  readonly name: string;
}

/** True for overlay's mark of a removed name. */
export function isWhiteout(stat: FileStat): boolean {
  return stat.kind === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0;
}

/** What a committed snapshot's merged tree is made of, nearest first, as `LowerView` takes it. */
export function layersOf({ upper, base, lowers }: SnapshotLayout & { readonly kind: "overlay" }): string[] {
  return [upper, ...(base === undefined ? [] : [base]), ...lowers];
}

/**
 * The merged view of the layers below an upper directory, nearest first, as overlay would show it: for unpacking a layer that
 * relies on what it does not hold itself, and for telling what an upper directory changed.
 */
export class LowerView implements Disposable {
  readonly #roots: readonly number[];

  constructor(paths: readonly string[]) {
    const roots: number[] = [];
    this.#roots = roots;
    try {
      for (const path of paths) roots.push(openat(AT_FDCWD, path, O.PATH | O.DIRECTORY));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get empty(): boolean {
    return this.#roots.length === 0;
  }

  /** Runs `use` on the node at a path without links in it; undefined when the merged view has none. */
  at<R>(components: readonly string[], use: (node: LowerNode) => R): R | undefined {
    for (const root of this.#roots) {
      const found = this.#inLayer(root, components, use);
      if (found === "hidden") return undefined;
      if (found !== "absent") return found.value;
    }
    return undefined;
  }

  stat(components: readonly string[]): FileStat | undefined {
    return this.at(components, (node) => node.stat);
  }

  /** Names in a directory of the merged view. */
  names(components: readonly string[]): Set<string> {
    const names = new Set<string>();
    const hidden = new Set<string>();
    for (const root of this.#roots) {
      const found = this.#inLayer(root, components, (node) => {
        if (node.stat.kind !== "directory") return "end" as const;
        const fd = openat(node.dir, node.name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
        try {
          for (const { name } of readDirectory(fd)) {
            if (hidden.has(name)) continue;
            hidden.add(name);
            if (!isWhiteout(lstatat(fd, name))) names.add(name);
          }
          return getXattr(fd, "", "trusted.overlay.opaque")?.toString() === "y"
            ? ("end" as const)
            : ("go on" as const);
        } finally {
          closeFd(fd);
        }
      });
      if (found === "hidden" || (found !== "absent" && found.value === "end")) break;
    }
    return names;
  }

  readlink(components: readonly string[]): string {
    return this.at(components, (node) => decodePath(readlinkat(node.dir, node.name))) ?? "";
  }

  /** "absent": ask the next layer; "hidden": this layer says that there is nothing. */
  #inLayer<R>(
    root: number,
    components: readonly string[],
    use: (node: LowerNode) => R,
  ): { readonly value: R } | "absent" | "hidden" {
    let dir = root;
    let opaque = false;
    if (components.length === 0) return { value: use({ stat: lstatat(root), dir: root, name: "." }) };
    try {
      for (const [index, name] of components.entries()) {
        const stat = tryLstatat(dir, name);
        if (!stat) return opaque ? "hidden" : "absent";
        if (isWhiteout(stat)) return "hidden";
        if (index === components.length - 1) return { value: use({ stat, dir, name }) };
        if (stat.kind !== "directory") return "hidden";
        opaque ||= getXattr(dir, name, "trusted.overlay.opaque")?.toString() === "y";
        const next = openat(dir, name, O.PATH | O.DIRECTORY | O.NOFOLLOW);
        if (dir !== root) closeFd(dir);
        dir = next;
      }
      return "absent";
    } finally {
      if (dir !== root) closeFd(dir);
    }
  }

  [Symbol.dispose](): void {
    for (const root of this.#roots) closeFd(root);
  }
}
