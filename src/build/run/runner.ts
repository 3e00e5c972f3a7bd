import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type { Mount, SnapshotLayout } from "../../core/snapshot/snapshotter.ts";
import type { ChangesOp, ExecOp, FileOp, Op, RestackOp, SourceOp, Vertex } from "../graph.ts";
import type { Result } from "../result.ts";
import type { BuildSession } from "../session.ts";

/** What every runner is handed for one step. All it started has ended when its promise settles; on abort it throws the signal's reason. */
export interface StepContext<O extends Op = Op> {
  readonly vertex: Vertex;
  readonly op: O;
  /** By index of `vertex.inputs`. */
  readonly inputs: readonly Result[];
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly progress: StepProgress;
  /** Told of all that one run made, by index of the mount (-1: the root), where it made several trees (`ExecOp.kept`). */
  readonly onKept?: (made: ReadonlyMap<number, ChainId>) => void;
  /** What whoever ordered the build may have (`--allow`): "network.host", "security.insecure", "device". Nothing unless told. */
  readonly entitlements?: readonly string[];
  /**
   * Given for a file operation that unpacks nothing: called with what `ContentKeys.digest` says of each copy action, in order, which is
   * known for nothing when everything is read to be copied.
   */
  readonly onCopied?: (digests: readonly Digest[]) => void;
  /** Told of what a source of the network turned out to be: { sha1: … } of a commit, { sha256: … } of a file. Provenance tells it. */
  readonly pinned?: (digest: Readonly<Record<string, string>>) => void;
}

export interface StepProgress {
  /** What it may return resolves when more may follow: a watcher that is slow slows the step, not the memory. */
  log(stream: "stdout" | "stderr", bytes: Uint8Array): void | Promise<void>;
  /** A part with a name of its own; `total` 0: unknown; told for the last time with `done`. */
  part(
    name: string,
    state: { readonly current: number; readonly total: number; readonly done?: boolean },
  ): void;
}

/** Makes a tree: RUN, COPY, COPY --link, a difference. */
export interface StepRunner<O extends ExecOp | FileOp | RestackOp | ChangesOp> {
  /** The committed snapshot of the root after the step. Made with `StepSnapshots.make`; what it did not change has no layer of its own to pay for. */
  run(step: StepContext<O>): Promise<ChainId | undefined>;
}

/** Brings a tree from somewhere else. */
export interface SourceRunner<O extends SourceOp> {
  /**
   * What decides the cache of those that read it, at the least cost (an image: its layers' chain id, nothing is pulled; git: the
   * commit; http: the content's digest, conditional on what is kept; local: transfers what changed and digests the content).
   */
  key(step: StepContext<O>): Promise<Digest>;
  /**
   * The tree itself; called only when a step that reads it runs. A context's is a kept tree instead of a snapshot (`isKeptTree` in
   * sources/kept-trees.ts): it has no record at the snapshotter, and `StepSnapshots` made by `withKeptTrees` know it.
   */
  snapshot(step: StepContext<O>): Promise<ChainId | undefined>;
  /** Called once for each `snapshot` whose result nobody holds any more: when none is left, the tree may change. */
  release?(snapshot: ChainId): void;
}

/** Fills a new snapshot. `completeWith` names what completes it: see `CommitOptions.base`. */
export type WriteSnapshot = (active: ActiveStep, completeWith: (base: string) => void) => Promise<void>;

/** Snapshots of build steps: named "build-<id>" until they are exported, not synced one by one. */
export interface StepSnapshots {
  /**
   * A new snapshot on `parent`, filled by `write`; removed again when that throws.
   * `signal`: a kept tree as parent is copied first, which takes its time.
   */
  make(parent: ChainId | undefined, write: WriteSnapshot, signal?: AbortSignal): Promise<ChainId>;
  /** Removes what `make` made, with what of this it stands on; what a record names by now stays. */
  discard(snapshot: ChainId): Promise<void>;
  /** A throw-away writable view (RUN mounts with rw, or a view of nothing); removed when disposed. */
  scratch(parent: ChainId | undefined, signal?: AbortSignal): Promise<ActiveStep & AsyncDisposable>;
  /** A read-only view; undefined: of the empty tree. */
  view(snapshot: ChainId | undefined): readonly Mount[];
  layout(snapshot: ChainId): SnapshotLayout;
  /** See `Snapshotter.filesShared`. */
  filesShared(...paths: readonly string[]): void;
}

export interface ActiveStep {
  readonly key: string;
  readonly mounts: readonly Mount[];
  readonly layout: SnapshotLayout;
}

/** What a copy reads, as a digest: of names, types, modes, owners, link targets, xattrs and contents, but not of times. */
export interface ContentKeys {
  /** `sources`, `wildcard`, `exclude`, `parents` as `CopyAction` has them; what is not there digests as missing and fails when it runs. */
  digest(
    snapshot: ChainId | undefined,
    selection: {
      readonly sources: readonly string[];
      readonly wildcard: boolean;
      readonly exclude: readonly string[];
      readonly parents: boolean;
    },
    signal: AbortSignal,
  ): Promise<Digest>;
}
