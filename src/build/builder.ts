import type { Clock } from "../base/lib/clock.ts";
import type { BuildCaches } from "./cache/remote/caches.ts";
import { withEpoch } from "./epoch.ts";
import type { ExportContext, Exporters, SolvedTarget } from "./export/exporter.ts";
import { baseChain } from "./export/image.ts";
import type { LayerExport, ReadLayer } from "./export/layers.ts";
import { refuseSecrets } from "./export/secrets.ts";
import type { Vertex } from "./graph.ts";
import type { BuildPlan, PlannedTarget } from "./plan.ts";
import { type PlanDeps, planBuild } from "./plan-build.ts";
import { readDefinition } from "./read-definition.ts";
import type { BuildRequest } from "./request.ts";
import type { Result } from "./result.ts";
import type { BuildSession } from "./session.ts";
import type { Builder, BuildOutcome, SolvedStep, SolveOptions } from "./solve.ts";

export interface BuilderDeps {
  readonly planning: PlanDeps;
  readonly clock: Clock;
  readonly layers: LayerExport;
  readonly exporters: Exporters;
  readonly caches: Pick<BuildCaches, "open">;
  readonly call: Builder["call"];
}

type BuildOptions = Parameters<Builder["build"]>[2];

/** See `Builder`: the order of things; each part decides for itself how. */
export class BuildService implements Builder {
  readonly #deps: BuilderDeps;

  constructor(deps: BuilderDeps) {
    this.#deps = deps;
  }

  readonly call: Builder["call"] = (...args) => this.#deps.call(...args);

  async build(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<BuildOutcome> {
    const { progress } = options;
    const started = this.#deps.clock.now();
    // Whatever ends it ends all of it: the client going away, a cancel, a failed output.
    const signal = AbortSignal.any([options.signal, session.signal]);
    const solving: SolveOptions = { session, signal, progress, entitlements: request.entitlements };
    const { planning } = this.#deps;
    const definition = await readDefinition(planning, request, solving);
    const timed = await withEpoch(planning, request, definition, solving);
    const plan = await planBuild(planning, timed, definition, solving);
    options.onPlan?.(plan);
    for (const warning of plan.warnings) progress.warning({ ...warning, vertex: undefined });
    using cache = await this.#deps.caches.open(request, solving);
    const { importers } = cache;
    const onSolved = (steps: readonly SolvedStep[]) => cache.solved(steps);
    using held = new DisposableStack();
    const scan = request.attestations.sbom !== false;
    const targets = await this.#solve(plan, { ...solving, importers, onSolved }, { held, scan });
    const outcome = await this.#export(
      { request: timed, plan, targets, started, ...(cache.inline && { inlineCache: cache.inline }) },
      solving,
    );
    return { ...outcome, response: { ...outcome.response, ...(await cache.export(plan.targets)) } };
  }

  /** Every target's steps; what becomes a layer is read while later steps still run. */
  async #solve(
    plan: BuildPlan,
    options: SolveOptions,
    { held, scan }: { readonly held: DisposableStack; readonly scan: boolean },
  ): Promise<readonly SolvedTarget[]> {
    const { planning, layers } = this.#deps;
    const scanned = ({ scanned: named = [] }: PlannedTarget) =>
      scan ? named.flatMap(({ root }) => (root ? [root] : [])) : [];
    const wanted = plan.targets.flatMap((target) => [
      ...target.layers,
      ...(target.root ? [target.root] : []),
      ...scanned(target),
    ]);
    const reads = new Map<Vertex, Promise<ReadLayer | undefined>>();
    const asLayer = new Set(plan.targets.flatMap((target) => target.layers));
    const onResult = (index: number, result: Result) => {
      held.use(result);
      const vertex = wanted[index];
      if (vertex && asLayer.has(vertex) && !reads.has(vertex))
        reads.set(vertex, layers.begin(result, options.signal));
    };
    const results = await planning.solver.solve(wanted, { ...options, onResult });
    const byVertex = new Map(wanted.map((vertex, index) => [vertex, results[index]]));
    for (const result of results) held.use(result);
    await refuseSecrets(planning.snapshots, plan, (vertex) => byVertex.get(vertex), options);
    return plan.targets.map((target) => {
      const own = target.layers.flatMap((vertex) => {
        const [result, read] = [byVertex.get(vertex), reads.get(vertex)];
        return result && read ? [{ result, read }] : [];
      });
      let exported: ReturnType<SolvedTarget["layers"]> | undefined;
      return {
        target,
        root: target.root && byVertex.get(target.root),
        scanned: scanned(target).flatMap((vertex) => byVertex.get(vertex) ?? []),
        layers: () => {
          exported ??= layers.layers(baseChain(target), own);
          return exported;
        },
      };
    });
  }

  async #export(
    build: Pick<ExportContext, "request" | "plan" | "targets" | "started" | "inlineCache">,
    options: SolveOptions,
  ): Promise<BuildOutcome> {
    const { request, plan } = build;
    const response: Record<string, string> = {};
    let imageId: string | undefined;
    for (const output of request.outputs) {
      const exporter = this.#deps.exporters[output.type];
      const { session, signal, progress } = options;
      const reply = await exporter({ ...build, output, session, signal, progress });
      Object.assign(response, reply.response);
      imageId ??= reply.imageId;
    }
    return { plan, response, imageId };
  }
}
