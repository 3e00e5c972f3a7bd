import type { ChainId } from "../../base/lib/ids.ts";
import type { Snapshotter } from "./snapshotter.ts";

/** An active snapshot that becomes a layer of a stack. */
export interface StackedSnapshot {
  readonly name: ChainId;
  /** Its key, prepared on nothing. */
  readonly key: string;
  /** Nothing was said of the root directory itself: its mode and owner go on from the snapshot below. */
  readonly inheritsRoot: boolean;
}

/**
 * What a snapshotter can do whose snapshots are directories of changes alone: layers are filled side by side before anybody knows
 * what they will lie on, and are put on top of each other when they are committed. (A whole tree begins as a copy of its parent.)
 *
 *     await snapshots.prepare("unpack-1", undefined);
 *     await snapshots.prepare("unpack-2", undefined);
 *     ... fill both, in any order ...
 *     await stacks.commitStack(undefined, [{ name: a, key: "unpack-1", ... }, { name: b, key: "unpack-2", ... }]);
 */
export interface LayerStacks {
  /**
   * Commits active snapshots, bottom first, the first one onto `parent`. One `syncfs` has the files of all on disk, then one durable
   * transaction has the records. Returns the keys of those whose name was committed by somebody else meanwhile: they are still active
   * and to be removed. Throws not-found for a parent or key that does not exist.
   */
  commitStack(parent: ChainId | undefined, layers: readonly StackedSnapshot[]): Promise<readonly string[]>;
  /**
   * Has on disk what was written so far, so that less is left for the commit to wait for. The kernel tells of lost writes once: who calls
   * this must not commit when it fails.
   */
  writeBack(): Promise<void>;
}

/** The power itself where a driver has it. */
export function layerStacks(snapshots: Snapshotter): (Snapshotter & LayerStacks) | undefined {
  return "commitStack" in snapshots ? (snapshots as Snapshotter & LayerStacks) : undefined;
}
