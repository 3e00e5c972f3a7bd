import type { ChainId } from "../../base/lib/ids.ts";

/**
 * Snapshots: layered, copy-on-write directory trees.
 *
 * A snapshot is *committed* (read-only, named by its chain id, shareable) or *active* (writable, named by a key). An active
 * one is prepared on a committed parent, or on nothing, is filled or run from, and may be committed under a chain id. The
 * snapshotter returns mounts; who needs the tree mounts them (and owns the unmounting). A parent cannot be removed while it
 * has children.
 *
 *     const mounts = await snapshots.prepare("unpack-7f", parent);
 *     ... unpack the layer into the tree ...
 *     await snapshots.commit(chainId, "unpack-7f");
 *     const root = await snapshots.prepare(containerId, chainId);   // a container's writable layer
 */
export interface Snapshotter {
  /** Driver name as `info` shows it, e.g. "overlay2". */
  readonly name: string;
  /** The driver's directory: all that it mounts lies below. */
  readonly root: string;
  /** Status lines for `info` (DriverStatus), e.g. ["Backing Filesystem", "extfs"]. */
  status(): readonly (readonly [string, string])[];
  stat(name: string): SnapshotInfo | undefined;
  /**
   * What a container's `--storage-opt` asks for, the daemon's default included. Throws invalid, in Docker's words, for what this
   * driver does not know or its file system cannot hold to.
   */
  readOptions(options: Readonly<Record<string, string>>): Pick<PrepareOptions, "size">;
  /** Makes an active snapshot. Throws conflict when the key exists, not-found when the parent does not. */
  prepare(key: string, parent: ChainId | undefined, options?: PrepareOptions): Promise<readonly Mount[]>;
  /**
   * Mounts of an existing active snapshot, or a read-only view of a committed one. With `view` they are told as if the driver's
   * directory lay there: where it is mounted in some other way (with mapped ids). A bind mount is mapped itself and needs none.
   */
  mounts(name: string, view?: string): readonly Mount[];
  /** Turns an active snapshot into a committed one; its data is on disk (syncfs) before its record is, unless `relaxed`. */
  commit(name: ChainId, key: string, options?: CommitOptions): Promise<void>;
  /** Writes the data of what was committed `relaxed` so far; no record counts on it before `sync`. */
  writeBack(): Promise<void>;
  /** Has everything that was committed `relaxed` so far on disk, data and records. */
  sync(): Promise<void>;
  /**
   * Gives a committed snapshot another name; its children follow. Where a snapshot of that name exists (equal layers, so equal files) the
   * children go over to that one instead, and `from` stays with none for its owner to remove, as mounts may still need its files; that is
   * durable when it returns. A new name alone becomes so with the next durable write, of the image that counts on it; a power cut before
   * takes it back. `sync` first what was committed `relaxed`. Throws not-found, and conflict for what is active or below itself.
   */
  rename(from: ChainId, to: ChainId): void;
  /**
   * Throws conflict while children exist. Idempotent. Throws, too, when files of it cannot be removed: it is gone all the same, and these are tried
   * again with whatever is removed next.
   */
  remove(name: string): Promise<void>;
  /** Directory that holds this snapshot's own changes (overlay "upper"), for diff and unpack; undefined if the driver has none. */
  upperdir(name: string): string | undefined;
  /** Where the snapshot's files lie, for unpacking into it and for telling what it changed. Throws not-found. */
  layout(name: string): SnapshotLayout;
  /**
   * Bytes and inodes of a snapshot's own files. Of several that share files with one another (hard links) the same `counted` has each file
   * counted in the first.
   */
  usage(name: string, counted?: CountedFiles): Promise<Usage>;
  /** Bytes that removing it gives back: of files that have no name elsewhere. */
  reclaimable(name: string): Promise<number>;
  /** Files of one snapshot got names in another one. `paths`: of both trees, or below them. */
  filesShared(...paths: readonly string[]): void;
  /** Committed snapshots that came to share files with others. */
  sharing(): readonly string[];
  /** A committed snapshot's own files are whole now, without `CommitOptions.base`. */
  completed(name: string): Promise<void>;
  list(): Iterable<SnapshotInfo>;
  /** GraphDriver.Data of inspect, e.g. LowerDir, UpperDir, WorkDir, MergedDir. `target` is where the root is mounted. */
  describe(name: string, target: string): Readonly<Record<string, string>>;
}

export interface SnapshotInfo {
  readonly name: string;
  readonly kind: "active" | "committed";
  readonly parent: string | undefined;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

export interface PrepareOptions {
  /**
   * The contents need not survive a crash of the host (a container that is removed when it ends): the driver may skip the
   * write-back of the whole file system that unmounting a writable layer otherwise costs. Such a snapshot is committed
   * `relaxed` or not at all.
   */
  readonly volatile?: boolean;
  /** Bytes that the snapshot may hold, from `readOptions`. */
  readonly size?: number;
}

export interface CommitOptions {
  /**
   * Nobody waits for the disk: after a power cut the snapshot may be gone, or its record be there and its files be short. Whoever
   * commits so remembers it until `sync`, and removes such snapshots when the machine went down before.
   */
  readonly relaxed?: boolean;
  /**
   * Another committed snapshot's own files, where its layout has them (`upper`): what the new one does not have of them is its own as well, as
   * if it had been copied. They stay for as long as somebody is completed by them, whatever becomes of that snapshot. In overlay's layout,
   * and not of one that is completed itself; commit throws not-found when they are gone.
   */
  readonly base?: string | undefined;
}

/**
 * `overlay`: `upper` holds only the changes, removals as overlay whiteouts, over `lowers` (nearest first); what `base` has and `upper` neither has
 * nor removes is among the changes, too. With `marks` there are also files named ".wh.*" which are no content, so that the kernel's overlay
 * would show too much. `tree`: `tree` is the whole, `parent` the whole tree it began as.
 */
export type SnapshotLayout =
  | {
      readonly kind: "overlay";
      readonly upper: string;
      readonly base?: string;
      readonly lowers: readonly string[];
      readonly marks?: boolean;
    }
  | { readonly kind: "tree"; readonly tree: string; readonly parent: string | undefined };

/** As mount(8) would take it: `type` "overlay", "bind", or "fuse.fuse-overlayfs" with the program as `source`. */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Inodes of files with several names. */
export type CountedFiles = Set<bigint>;

export interface Usage {
  readonly bytes: number;
  readonly inodes: number;
}
