import { invalid } from "../base/lib/errors.ts";
import type {
  BuildOutcome,
  BuildWatch,
  CombinedTarget,
  PlannedBuild,
  TargetRef,
} from "../base/spec/builder/builder.ts";
import type { ReadableTree } from "../base/spec/builder/readable-tree.ts";
import type { Definition } from "../base/spec/buildkit/pb.gen.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";
import type { BuildCaches } from "./cache/remote/caches.ts";
import type { TreeMounts } from "./export/tree-mounts.ts";
import type { HandedOut } from "./llb/handed-out.ts";
import { parseClientConfig, splitHistory } from "./plan/inputs.ts";
import type { BuildPlan, PlannedTarget } from "./plan.ts";
import type { PlanDeps } from "./plan-build.ts";
import { readTree } from "./read-tree.ts";
import type { BuildRequest } from "./request.ts";
import type { Result } from "./result.ts";
import type { BuildSession } from "./session.ts";

export interface PlannedDeps {
  readonly planning: Pick<PlanDeps, "solver">;
  readonly handed: HandedOut;
  readonly trees: Pick<TreeMounts, "open">;
  readonly caches: Pick<BuildCaches, "open">;
}

export interface PlannedParts {
  readonly plan: BuildPlan;
  readonly epoch: number | undefined;
  /** Of the client, and of those whose results it builds on. */
  readonly session: BuildSession;
  readonly request: BuildRequest;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly make: (
    parts: Omit<PlannedParts, "make">,
    request: BuildRequest,
    options: BuildWatch,
  ) => Promise<BuildOutcome>;
}

/** See `PlannedBuild`. */
export class Planned implements PlannedBuild {
  readonly targets: readonly PlannedRef[];
  readonly #parts: PlannedParts;
  readonly #held = new DisposableStack();

  constructor(deps: PlannedDeps, parts: PlannedParts) {
    this.#parts = parts;
    this.targets = parts.plan.targets.map((target) => {
      const { definition } = this.#held.use(deps.handed.offer({ target, session: parts.session }));
      return new PlannedRef(deps, { definition, target, parts, held: this.#held });
    });
  }

  async build(request: BuildRequest, options: BuildWatch): Promise<BuildOutcome> {
    return await this.#parts.make(this.#parts, request, options);
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }
}

class PlannedRef implements TargetRef {
  readonly platform: Platform;
  readonly definition: Definition;
  readonly config: string | undefined;
  readonly target: PlannedTarget;
  readonly parts: PlannedParts;
  readonly #deps: PlannedDeps;
  readonly #held: DisposableStack;
  #result: Promise<Result | undefined> | undefined;

  constructor(
    deps: PlannedDeps,
    made: {
      readonly definition: Definition;
      readonly target: PlannedTarget;
      readonly parts: PlannedParts;
      readonly held: DisposableStack;
    },
  ) {
    const { target } = made;
    this.#deps = deps;
    this.#held = made.held;
    this.parts = made.parts;
    this.target = target;
    this.platform = target.platform;
    this.definition = made.definition;
    const rootfs = { type: "layers", diff_ids: [] };
    this.config = target.stage === "" ? undefined : JSON.stringify({ ...target.config, rootfs });
  }

  async evaluate(options: BuildWatch): Promise<void> {
    await this.#bring(options);
  }

  async read<T>(look: (tree: ReadableTree) => T | Promise<T>, options: BuildWatch): Promise<T> {
    const result = await this.#bring(options);
    await using place = await this.#deps.trees.open([{ name: "root", snapshot: result?.snapshot }]);
    return await readTree(`${place.path}/root`, look);
  }

  /** Brought once, and kept as long as the client may look at it. */
  async #bring(options: BuildWatch): Promise<Result | undefined> {
    this.#result ??= this.#solve(options);
    try {
      return await this.#result;
    } catch (error) {
      this.#result = undefined;
      throw error;
    }
  }

  async #solve({ signal, progress }: BuildWatch): Promise<Result | undefined> {
    const { root } = this.target;
    const { session, request } = this.parts;
    if (!root) return undefined;
    const until = AbortSignal.any([signal, session.signal]);
    const solving = { session, signal: until, progress, entitlements: request.entitlements };
    using cache = await this.#deps.caches.open({ ...request, cacheTo: [] }, solving);
    const { importers } = cache;
    const [result] = await this.#deps.planning.solver.solve([root], { ...solving, importers });
    if (!result) return undefined;
    if (this.#held.disposed) {
      result[Symbol.dispose]();
      throw invalid("the build has ended");
    }
    return this.#held.use(result);
  }
}

/** Targets of several plans as one; see `Builder.combine`. */
export function combinePlans(
  parts: readonly CombinedTarget[],
  request: BuildRequest,
): {
  readonly plan: BuildPlan;
  readonly lenders: readonly BuildSession[];
  readonly epoch: number | undefined;
} {
  const refs = parts.map((part) => {
    if (!(part.target instanceof PlannedRef)) throw invalid("a result is of no build here");
    return { ...part, target: part.target };
  });
  const [first] = refs;
  return {
    plan: {
      files: first?.target.parts.plan.files ?? [],
      targets: refs.map(({ target, platform, config }) => combined(target, platform, config)),
      warnings: [],
    },
    lenders: [...new Set(refs.map(({ target }) => target.parts.session))],
    epoch: first?.target.parts.epoch ?? request.epoch,
  };
}

function combined(
  ref: PlannedRef,
  platform: Platform | undefined,
  config: string | undefined,
): PlannedTarget {
  const target = { ...ref.target, ...(platform && { platform }) };
  if (config === undefined || config === ref.config) return target;
  const { rootfs: _, ...parsed } = parseClientConfig(config);
  const { inherited, own } = splitHistory(parsed.history ?? [], target);
  return {
    ...target,
    config: { ...parsed, history: [...inherited, ...own] },
    inheritedHistory: inherited.length,
  };
}
