import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fdPath } from "../../../base/sys/at.ts";
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
   * are read-only do so at no cost for each file; where they cannot be had Landlock does it.
   */
  seal(writable: readonly RootedDir[]): void {
    const paths = writable.map((tree) => fdPath(tree.fd));
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
