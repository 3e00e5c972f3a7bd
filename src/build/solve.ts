import { codeOf, messageOf, TugError } from "../base/lib/errors.ts";
import type { ChainId, Digest } from "../base/lib/ids.ts";
import type { ReadableTree } from "../base/spec/builder/readable-tree.ts";
import type { Definition } from "../base/spec/buildkit/pb.gen.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";
import type { Vertex } from "./graph.ts";
import type { BuildPlan } from "./plan.ts";
import type { ProgressSink } from "./progress.ts";
import type { BuildRequest } from "./request.ts";
import type { Result } from "./result.ts";
import type { StepProgress } from "./run/runner.ts";
import type { BuildSession } from "./session.ts";

/**
 * The solver: brings vertices to results. Vertices that do not depend on each other run side by side; one that several builds need at
 * once runs once and ends when the last of them lets go. A vertex is looked for in the cache by its *fast key* (the operation and
 * the keys of its inputs' results), then, where it copies, by its *content key* (what is copied instead of where from); only then
 * it runs. Inputs are brought to results only when a step that reads them runs: a build that is known to the end touches nothing.
 */
export interface Solver {
  solve(vertices: readonly Vertex[], build: SolveOptions): Promise<readonly Result[]>;
}

export interface SolveOptions {
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  /** Told of each wanted vertex (by its index) as soon as it is there, with a hold of its own; also in a build that fails later. */
  readonly onResult?: (index: number, result: Result) => void;
  /** Told at the end, inputs first, of every vertex, what an export of the cache needs; not in a build that fails. */
  readonly onSolved?: (steps: readonly SolvedStep[]) => void;
  /** `--allow`; a step that needs more is refused, also when its result is known. */
  readonly entitlements?: readonly string[];
  /** Asked in this order after the solver's own records (`--cache-from`). Nothing else is a candidate, no image that happens to be here. */
  readonly importers?: readonly CacheImporter[];
}

/** How a vertex is found again. */
export interface SolvedStep {
  readonly vertex: Vertex;
  /** Its result's key; the cache's records know the snapshot, if it was ever made here. */
  readonly key: Digest;
  /** Keys that lead to it, as importers are asked; none for a source. */
  readonly keys: readonly Digest[];
  /** See `StepContext.pinned`. */
  readonly pin?: Readonly<Record<string, string>>;
}

/** A cache from elsewhere. */
export interface CacheImporter {
  /** What is known under a key, fast or by content; undefined: nothing. It only looks things up: nothing is fetched but descriptions. */
  find(key: Digest, signal: AbortSignal): Promise<ImportedResult | undefined>;
}

export interface ImportedResult {
  /** What the caches of those that read it go by (`Result.key`). */
  readonly key: Digest;
  /** Fetches and unpacks it; called only when a step that reads it runs, or when it is the result. Absent: only the key is known. */
  readonly snapshot?: (context: {
    readonly signal: AbortSignal;
    readonly progress: StepProgress;
  }) => Promise<ChainId | undefined>;
}

/** What `solve` throws when a step fails: that step's error, and where it stands. */
export class StepFailure extends TugError {
  readonly vertex: Vertex;
  constructor(vertex: Vertex, cause: unknown) {
    super(codeOf(cause), messageOf(cause), { cause, detail: cause instanceof TugError ? cause.detail : {} });
    this.vertex = vertex;
  }
}

/** A whole build: resolves, plans, solves and exports. What the API's routes call. */
export interface Builder {
  /** Resolves and plans; nothing is made but what the plan depends on. Hold it for as long as its client may come back to it. */
  plan(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<PlannedBuild>;
  /** A plan of targets that were planned apart, as clients put results together; `request` says what is common. */
  combine(parts: readonly CombinedTarget[], request: BuildRequest, session: BuildSession): PlannedBuild;
  /** Runs a frontend's image, which is served over `stdio`; resolves when it ended well. */
  frontend(
    asked: AskedFrontend,
    stdio: StepStdio,
    session: BuildSession,
    options: BuildOptions,
  ): Promise<void>;
  /** What an image says of itself. */
  image(asked: AskedImage, session: BuildSession, options: BuildOptions): Promise<FoundImage>;
  build(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<BuildOutcome>;
  /** Only reads: `--call check|outline|targets`, `--check`. The reply as BuildKit's subrequests have it (result.json, result.txt). */
  call(
    method: "check" | "outline" | "targets",
    request: BuildRequest,
    session: BuildSession,
    options: { readonly signal: AbortSignal; readonly progress: ProgressSink },
  ): Promise<Readonly<Record<string, Uint8Array>>>;
}

export interface BuildOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  /** The Dockerfile was read. */
  readonly onDefinition?: () => void;
  /** Told before the first step runs. */
  readonly onPlan?: (plan: BuildPlan) => void;
  /** Has the frontend's image plan that the file's "syntax" line names; what is planned here is nothing then. Absent: the built-in one plans. */
  readonly forward?: (source: string, cmdline: string) => Promise<void>;
}

/** A build before it is made: clients look at its results, take them to other builds, and have it built. */
export interface PlannedBuild extends Disposable {
  /** One for each platform asked for, in that order. */
  readonly targets: readonly TargetRef[];
  /** Makes it. Outputs and caches are those of `request`. */
  build(request: BuildRequest, options: BuildOptions): Promise<BuildOutcome>;
}

export interface TargetRef {
  readonly platform: Platform;
  /** Of LLB: another build that is given this builds on the result. */
  readonly definition: Definition;
  /** Its image config as JSON, without layers; undefined: it is a tree and nothing else. */
  readonly config: string | undefined;
  /** Brings the tree; it stays until the plan is disposed of. */
  evaluate(options: BuildOptions): Promise<void>;
  /** Brings the tree and looks at it. Paths as the client says them; links are followed inside the tree. */
  read<T>(look: (tree: ReadableTree) => T | Promise<T>, options: BuildOptions): Promise<T>;
}

export interface AskedFrontend {
  /** Reference of its image. */
  readonly source: string;
  readonly env: readonly string[];
  /** What it must be able to do, by BuildKit's names with commas between. */
  readonly caps: string | undefined;
  /** The client hands it trees. */
  readonly hasInputs: boolean;
}

/** Standard input and output of a program that is spoken with. */
export interface StepStdio {
  readonly input: AsyncIterable<Uint8Array>;
  /** The next piece is read when it has resolved. */
  output(bytes: Uint8Array): void | Promise<void>;
}

export interface AskedImage {
  readonly reference: string;
  readonly platform: Platform;
  /** "pull": its registry is asked even if it is here. */
  readonly mode: string;
  /** Of an OCI layout: the client's content store that has it. */
  readonly store?: string;
}

export interface FoundImage {
  /** Canonical. */
  readonly reference: string;
  /** The same with the digest that it has now, if one is known. */
  readonly pinned: string;
  readonly digest: string;
  /** JSON. */
  readonly config: Uint8Array;
}

export interface CombinedTarget {
  readonly target: TargetRef;
  readonly platform: Platform | undefined;
  /** As `TargetRef.config`. */
  readonly config: string | undefined;
}

export interface BuildOutcome {
  readonly plan: BuildPlan;
  /** BuildKit's exporter response: "containerimage.digest", "containerimage.config.digest", "image.name", …; the metadata file has them. */
  readonly response: Readonly<Record<string, string>>;
  /** Of the image that was made for this host's platform, if one was. */
  readonly imageId: string | undefined;
  /** Where each target came from, told in full (`mode=max`); made when it is asked for. */
  readonly provenance: () => readonly {
    readonly platform: string;
    readonly type: string;
    readonly predicate: object;
  }[];
}
