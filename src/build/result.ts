import type { ChainId, Digest } from "../base/lib/ids.ts";

/**
 * What a vertex came to: a committed snapshot, or nothing (an empty tree). It stays while it is held; `dispose` lets go.
 * Snapshots of build steps are committed under a name of the builder's own ("build-…"), because a chain id is known only when the
 * layer was read once more for its diffID. That is done beside the steps that follow, and only for what will be exported;
 * then the snapshot gets its chain id as its name (`Snapshotter.rename`), so that image and cache share it.
 */
export interface Result extends Disposable {
  /** undefined: the empty tree. Follows renames while it is held. */
  readonly snapshot: ChainId | undefined;
  /**
   * What the caches of those that read it go by: equal for results that may stand for each other. For a base image the chain id
   * of its layers; for a local context the digest of its content.
   */
  readonly key: Digest;
}
