import type { ErrorCode } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import type { MountSpec } from "../../../base/sys/mount/mount.ts";
import type { CopyAction, FileAction } from "../../graph.ts";

/**
 * The trees of a build as a helper process handles them: one request on standard input as a JSON document, one reply on standard
 * output. The daemon says which trees (as mounts), the helper puts them together in a mount namespace of its own, gives up the right
 * to write anywhere else and does all path work relative to descriptors. It ends with its request, with the daemon, or when killed.
 */
export const buildFilesHelper = "build-files";

/** A tree as mounts that go on top of each other; none: an empty tree. */
export type TreeMounts = readonly MountSpec[];

export type BuildFilesRequest = ActionsRequest | DigestRequest | RestackRequest | ChangesRequest;

export interface ActionsRequest {
  readonly op: "actions";
  /** An existing directory; the helper mounts over it. */
  readonly scratch: string;
  readonly root: TreeMounts;
  /** `CopyAction.from` is an index into these. */
  readonly sources: readonly TreeMounts[];
  readonly actions: readonly FileAction[];
  readonly epoch: number | undefined;
  /** The directory that gets what is made in `root`, when that is an overlay of the kernel's: new directories are filled there. */
  readonly own?: string | undefined;
  /** Whether the reply shall tell what the copies read. */
  readonly digests?: boolean | undefined;
  readonly earlier?: EarlierRequest | undefined;
}

/** Files that the same step copied before are not copied again: see `EarlierCopy`. */
export interface EarlierRequest {
  /** The directory below which all trees lie, that of `own` too. */
  readonly trees: string;
  /** What is known of the earlier copy, and then of this one; its directory is there. */
  readonly notes: string;
  /** Whether it may be used; else this copy is only noted for the next. */
  readonly use: boolean;
}

export interface DigestRequest {
  readonly op: "digest";
  readonly scratch: string;
  readonly tree: TreeMounts;
  readonly selection: Selection;
  /** File that keeps what was hashed of this tree; its directory is all that the helper may write to. */
  readonly cache: string;
}

/** What of a tree a copy reads; as `CopyAction` has it. */
export type Selection = Pick<CopyAction, "sources" | "wildcard" | "exclude" | "parents">;

export interface RestackRequest {
  readonly op: "restack";
  /** Directory with the layer's own files. */
  readonly layer: string;
  /** Directory that gets them: an empty upper directory, or the whole tree of the root. */
  readonly into: string;
}

export interface ChangesRequest {
  readonly op: "changes";
  readonly scratch: string;
  readonly root: TreeMounts;
  /** undefined: nothing. */
  readonly lower: TreeMounts | undefined;
  readonly upper: TreeMounts;
}

export type BuildFilesReply =
  | {
      readonly kind: "done";
      /** Of a `digest` request. */
      readonly digest?: Digest;
      /** Of the copies among an `actions` request's, in order. */
      readonly digests?: readonly Digest[];
      /** Path of the tree that completes what was made; "unfit": one does, and must not, so that the step is to be done without. */
      readonly base?: string | undefined;
      /** Path of a tree whose files have names in the one that was made now. */
      readonly linked?: string | undefined;
    }
  | {
      readonly kind: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      /** A source that is not there; who asked words it. */
      readonly missing?: string;
    };
