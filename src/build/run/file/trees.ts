import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fdPath, O, openat2, RESOLVE } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { clonePath, cloneTree } from "../../../base/sys/mount/calls.ts";
import { MNT, MS, mount, mountSpec, umount } from "../../../base/sys/mount/mount.ts";
import { enterOwnMountNamespace, makeNamespaceReadOnly } from "../../../base/sys/mount/tree.ts";
import { confineWritesTo, forbidPrograms } from "../../../base/sys/process/landlock.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { TreeMounts } from "./protocol.ts";

/**
 * Puts trees together in this process's own mount namespace, which it is given for good; they end with the process.
 *
 *     const trees = new MountedTrees(request.scratch);
 *     const root = trees.open(request.root);
 */
export class MountedTrees {
  readonly #scratch: string;
  #count = 0;

  /** `scratch`: an existing directory that is mounted over. */
  constructor(scratch: string) {
    this.#scratch = scratch;
    enterOwnMountNamespace();
    mount("tmpfs", scratch, "tmpfs", MS.NOSUID | MS.NODEV, "mode=0700");
  }

  open(mounts: TreeMounts): RootedDir {
    // A server in user space lives in this namespace, too: the mount must end with its descriptor, or neither would end without the other.
    if (mounts.some((one) => one.type.startsWith("fuse."))) return this.openWritable(mounts);
    return RootedDir.open(this.#mount(mounts));
  }

  /** A tree that stays writable when everything else is sealed. */
  openWritable(mounts: TreeMounts): RootedDir {
    const path = this.#mount(mounts);
    using root = RootedDir.open(path);
    try {
      return RootedDir.adopt(cloneTree(root.fd));
    } finally {
      umount(path, MNT.DETACH | MNT.NOFOLLOW);
    }
  }

  /**
   * Takes from this thread, should the path work be wrong, the right to write anywhere but in `writable`, to run programs and to use TCP. Mounts that
   * are read-only do so at no cost for each file; where they cannot be had Landlock does it. Hard links can be made within and between `linkable`.
   */
  seal(writable: readonly RootedDir[], linkable: readonly RootedDir[] = []): void {
    const paths = [...writable, ...linkable].map((tree) => fdPath(tree.fd));
    if (makeNamespaceReadOnly()) forbidPrograms(...paths);
    else confineWritesTo(...paths);
  }

  #mount(mounts: TreeMounts): string {
    const path = join(this.#scratch, String(this.#count++));
    mkdirSync(path, { mode: 0o755 });
    for (const one of mounts) mountSpec(one, path);
    return path;
  }
}

/** A directory of the host's that stays writable when everything else is sealed. */
export function openWritableDirectory(path: string): RootedDir {
  return RootedDir.adopt(clonePath(path));
}

/**
 * Directories below `top` as they lie on one mount, so that hard links can be made from one to another; no path leads to it. Undefined when one of
 * them cannot be had.
 */
export function openLinkable(top: string, paths: readonly string[]): readonly RootedDir[] | undefined {
  using all = openWritableDirectory(top);
  const found: RootedDir[] = [];
  try {
    for (const path of paths) {
      const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
      found.push(RootedDir.adopt(openat2(all.fd, path, O.PATH | O.DIRECTORY, resolve)));
    }
    return found;
  } catch (error) {
    for (const dir of found) dir[Symbol.dispose]();
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
