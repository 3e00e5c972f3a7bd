import { codeOf, messageOf, TugError } from "../base/lib/errors.ts";
import type { ChainId, Digest } from "../base/lib/ids.ts";
import type { Vertex } from "./graph.ts";
import type { ProgressSink } from "./progress.ts";
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
  /** Told of each wanted vertex (by its index) as soon as it is there, with a hold of its own; also in a build that fails later, never after it did. */
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
