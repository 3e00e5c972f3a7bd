import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { MNT, MS, mount, mountSpec, umount } from "../../../base/sys/mount/mount.ts";
import { cloneTree } from "../../../base/sys/mount/calls.ts";
import { enterOwnMountNamespace } from "../../../base/sys/mount/tree.ts";
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
    const path = join(this.#scratch, String(this.#count++));
    mkdirSync(path, { mode: 0o755 });
    for (const one of mounts) mountSpec(one, path);
    const root = RootedDir.open(path);
    if (!mounts.some((one) => one.type.startsWith("fuse."))) return root;
    // Its server lives in this namespace, too: the mount must end with its descriptor, or neither would end without the other.
    try {
      return RootedDir.adopt(cloneTree(root.fd));
    } finally {
      root[Symbol.dispose]();
      umount(path, MNT.DETACH | MNT.NOFOLLOW);
    }
  }
}
