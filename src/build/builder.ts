import type { Clock } from "../base/lib/clock.ts";
import type { Digest } from "../base/lib/ids.ts";
import type {
  Builder,
  BuildOptions,
  BuildOutcome,
  BuildWatch,
  CombinedTarget,
  PlannedBuild,
} from "../base/spec/builder/builder.ts";
import { formatPlatform } from "../base/spec/oci/platform.ts";
import { askImage } from "./ask-image.ts";
import type { BuildCaches } from "./cache/remote/caches.ts";
import { type ProvenanceInput, provenance, provenanceTypes } from "./export/attest/provenance.ts";
import type { ExportContext, Exporters, SolvedTarget } from "./export/exporter.ts";
import { baseChain } from "./export/image.ts";
import type { LayerExport, ReadLayer } from "./export/layers.ts";
import { refuseSecrets } from "./export/secrets.ts";
import type { TreeMounts } from "./export/tree-mounts.ts";
import { type FrontendDeps, runFrontend } from "./frontend/run.ts";
import type { Vertex } from "./graph.ts";
import type { HandedOut } from "./llb/handed-out.ts";
import { lendersOf } from "./llb/load.ts";
import type { BuildPlan, PlannedTarget } from "./plan.ts";
import type { PlanDeps } from "./plan-build.ts";
import { planRequest, readRequest, syntaxOf } from "./plan-request.ts";
import { combinePlans, Planned, type PlannedParts } from "./planned.ts";
import type { BuildRequest } from "./request.ts";
import type { Result } from "./result.ts";
import type { BuildSession } from "./session.ts";
import { SharedSession } from "./solve/shared-session.ts";
import type { SolvedStep, SolveOptions } from "./solve.ts";

export interface BuilderDeps extends Pick<FrontendDeps, "exec" | "frontends"> {
  readonly planning: PlanDeps;
  readonly clock: Clock;
  readonly layers: LayerExport;
  readonly exporters: Exporters;
  readonly caches: Pick<BuildCaches, "open">;
  readonly call: Builder["call"];
  /** Results that clients have in hand. */
  readonly handed: HandedOut;
  readonly trees: Pick<TreeMounts, "open">;
}

/** See `Builder`: the order of things; each part decides for itself how. */
export class BuildService implements Builder<BuildPlan> {
  readonly #deps: BuilderDeps;

  constructor(deps: BuilderDeps) {
    this.#deps = deps;
  }

  readonly call: Builder["call"] = (...args) => this.#deps.call(...args);

  async build(
    request: BuildRequest,
    session: BuildSession,
    options: BuildOptions<BuildPlan>,
  ): Promise<BuildOutcome> {
    using planned = await this.plan(request, session, options);
    return await planned.build(request, options);
  }

  async plan(
    request: BuildRequest,
    client: BuildSession,
    options: BuildOptions<BuildPlan>,
  ): Promise<PlannedBuild> {
    const { planning, handed, clock } = this.#deps;
    const started = clock.now();
    const session = withLenders(client, lendersOf(request, handed));
    const solving = solvingOf(request, session, options);
    const deps = { ...planning, handed };
    const given = request.definition ? undefined : await readRequest(deps, request, solving);
    const syntax = given && options.forward && syntaxOf(request, given.dockerfile.text);
    if (syntax !== undefined && options.forward) {
      await options.forward(syntax.image, syntax.text);
      return this.combine([], request, client);
    }
    const { plan, epoch } = await planRequest(deps, request, given, {
      ...solving,
      onDefinition: options.onDefinition,
    });
    options.onPlan?.(plan);
    for (const warning of plan.warnings) options.progress.warning({ ...warning, vertex: undefined });
    return this.#planned({ plan, epoch, session, started, request });
  }

  combine(parts: readonly CombinedTarget[], request: BuildRequest, client: BuildSession): PlannedBuild {
    const started = this.#deps.clock.now();
    const { plan, lenders, epoch } = combinePlans(parts, request);
    const session = withLenders(client, lenders);
    return this.#planned({ plan, epoch, session, started, request });
  }

  readonly frontend: Builder["frontend"] = async (asked, stdio, session, options) => {
    await runFrontend(this.#deps, asked, stdio, solvingOf({ entitlements: [] }, session, options));
  };

  readonly image: Builder["image"] = async (asked, session, options) => {
    const solving = solvingOf({ entitlements: [] }, session, options);
    return await askImage(this.#deps.planning, asked, solving);
  };

  #planned(made: Omit<PlannedParts, "make">): PlannedBuild {
    return new Planned(this.#deps, { ...made, make: (...args) => this.#make(...args) });
  }

  async #make(
    { plan, epoch, session, started }: Omit<PlannedParts, "make">,
    request: BuildRequest,
    options: BuildWatch,
  ): Promise<BuildOutcome> {
    const solving = solvingOf(request, session, options);
    const timed = { ...request, epoch };
    using cache = await this.#deps.caches.open(request, solving);
    const { importers } = cache;
    const pins = new Map<Digest, Readonly<Record<string, string>>>();
    const onSolved = (steps: readonly SolvedStep[]) => {
      for (const { vertex, pin } of steps) if (pin) pins.set(vertex.digest, pin);
      cache.solved(steps);
    };
    using held = new DisposableStack();
    const scan = request.attestations.sbom !== false;
    const targets = await this.#solve(plan, { ...solving, importers, onSolved }, { held, scan });
    const outcome = await this.#export(
      { request: timed, plan, targets, started, pins, ...(cache.inline && { inlineCache: cache.inline }) },
      solving,
    );
    const response = { ...outcome.response, ...(await cache.export(plan.targets)) };
    const times = { started, finished: this.#deps.clock.now() };
    return {
      ...outcome,
      response,
      provenance: () => this.#provenance({ request: timed, plan, pins, ...times }),
    };
  }

  #provenance(build: Omit<ProvenanceInput, "target" | "host">): ReturnType<BuildOutcome["provenance"]> {
    const { host } = this.#deps.planning;
    return build.plan.targets.map((target) => ({
      platform: formatPlatform(target.platform),
      type: provenanceTypes["v0.2"],
      predicate: provenance({ ...build, target, host }, { mode: "max", version: "v0.2" }),
    }));
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
    build: Pick<ExportContext, "request" | "plan" | "targets" | "started" | "pins" | "inlineCache">,
    options: SolveOptions,
  ): Promise<Omit<BuildOutcome, "provenance">> {
    const { request } = build;
    const response: Record<string, string> = {};
    let imageId: string | undefined;
    for (const output of request.outputs) {
      const exporter = this.#deps.exporters[output.type];
      const { session, signal, progress } = options;
      const reply = await exporter({ ...build, output, session, signal, progress });
      Object.assign(response, reply.response);
      imageId ??= reply.imageId;
    }
    return { response, imageId };
  }
}

/** Whatever ends it ends all of it: the client going away, a cancel, a failed output. */
function solvingOf(
  { entitlements }: Pick<BuildRequest, "entitlements">,
  session: BuildSession,
  { signal, progress }: BuildWatch,
): SolveOptions {
  return { session, signal: AbortSignal.any([signal, session.signal]), progress, entitlements };
}

/** The client, and those whose results it builds on for what it does not lend itself. */
function withLenders(client: BuildSession, lenders: readonly BuildSession[]): BuildSession {
  const others = lenders.filter((lender) => lender !== client);
  if (others.length === 0) return client;
  return new SharedSession(client, client.signal, () => [
    client,
    ...others.filter((lender) => !lender.signal.aborted),
  ]);
}
