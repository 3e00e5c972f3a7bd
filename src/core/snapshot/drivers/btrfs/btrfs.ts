import { chmodSync } from "node:fs";
import { join } from "node:path";
import { invalid, TugError } from "../../../../base/lib/errors.ts";
import { humanSize } from "../../../../base/lib/size.ts";
import {
  createSubvolume,
  destroySubvolume,
  enableQuota,
  isSubvolume,
  limitSubvolume,
  snapshotSubvolume,
} from "../../../../base/sys/btrfs.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import { statFileSystem } from "../../../../base/sys/statfs.ts";
import { syncByProcess } from "../../../../base/sys/sync.ts";
import type { SnapshotterDeps } from "../../directory-snapshots.ts";
import { readSize } from "../../read-size.ts";
import type { Snapshotter } from "../../snapshotter.ts";
import { openTreeSnapshots } from "../../tree-snapshots.ts";

export interface BtrfsDeps extends SnapshotterDeps {
  /** The least size in bytes that a container may ask for (`btrfs.min_space`). */
  readonly minSpace?: number;
}

/** Why `root` cannot hold btrfs snapshots, or undefined when it can. */
export function btrfsProblem(root: string): string | undefined {
  const { name } = statFileSystem(root);
  if (name === "btrfs") return undefined;
  return `prerequisites for driver not satisfied (wrong filesystem?): ${root} lies on ${name}, not on btrfs`;
}

/**
 * Snapshots that are subvolumes: a child begins as a btrfs snapshot of its parent, which takes no copying and no mount, and
 * shares all blocks until they are written. A size is a qgroup limit; it counts what the tree refers to, the image's blocks
 * included, as Docker's does.
 */
export function openBtrfs(deps: BtrfsDeps): Promise<Snapshotter> {
  const { sync = syncByProcess, minSpace = 0 } = deps;
  return openTreeSnapshots(deps, {
    name: "btrfs",
    hooks: { destroy: (path) => destroyTree(join(path, "tree")) },
    status: () => [["Btrfs", ""]],
    readOptions: (options) => {
      const read = readSize(options, { unknown: (key) => `unknown option ${key}`, refusal: undefined });
      if (Object.keys(options).length > 0 && !read.size) throw invalid("btrfs: invalid storage size: 0B");
      if (read.size && read.size < minSpace)
        throw invalid(`btrfs: storage size cannot be less than ${humanSize(minSpace)}`);
      return read;
    },
    make: async ({ tree, parent, size }) => {
      // Groups are made with their subvolumes, so accounting comes first.
      if (size) enableQuota(deps.root);
      if (parent === undefined) {
        createSubvolume(tree);
        chmodSync(tree, 0o755);
      } else {
        // Making a snapshot waits for a commit of the file system in this thread: what is dirty is written before, elsewhere.
        await sync(parent);
        snapshotSubvolume(parent, tree);
      }
      if (size) limit(tree, size);
    },
    shares: true,
  });
}

async function destroyTree(tree: string): Promise<void> {
  if (isSubvolume(tree)) await destroySubvolume(tree);
}

function limit(tree: string, size: number): void {
  try {
    limitSubvolume(tree, size);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new TugError(
      "not-implemented",
      `btrfs: the size of a layer could not be limited: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
