import { isBuiltIn, syntaxLine } from "../base/spec/builder/frontend.ts";
import { withEpoch } from "./epoch.ts";
import { DefinitionLoader, type LoadDeps, lendersOf } from "./llb/load.ts";
import type { PlanInput } from "./plan/input.ts";
import { bareConfig, type LoadedInput, splitHistory } from "./plan/inputs.ts";
import type { BuildPlan } from "./plan.ts";
import { type PlanDeps, untilPlanned } from "./plan-build.ts";
import { type Definition, readDefinition } from "./read-definition.ts";
import type { BuildRequest } from "./request.ts";
import type { SolveOptions } from "./solve.ts";

export type PlanRequestDeps = PlanDeps & LoadDeps;

export interface PlannedRequest {
  readonly plan: BuildPlan;
  /** SOURCE_DATE_EPOCH, wherever it came from. */
  readonly epoch: number | undefined;
}

type Given = Definition & Pick<PlanInput, "inputs">;

/** The plan of what was asked for: of a Dockerfile (`given`), or of a client's own operations. */
export async function planRequest(
  deps: PlanRequestDeps,
  request: BuildRequest,
  given: Given | undefined,
  options: SolveOptions & { readonly onDefinition: (() => void) | undefined },
): Promise<PlannedRequest> {
  if (!given) return await planDefinition(deps, request, options);
  const timed = await withEpoch(deps, request, given, options);
  options.onDefinition?.();
  const { plan } = await untilPlanned(deps, deps.plan, timed, given, options);
  return { plan, epoch: timed.epoch };
}

/** The frontend's image that a file is written for, with what its line says; undefined: the built-in one is meant. */
export function syntaxOf(
  { buildArgs }: BuildRequest,
  text: string,
): { readonly image: string; readonly text: string } | undefined {
  const said = buildArgs["BUILDKIT_SYNTAX"] || syntaxLine(text);
  const image = said?.trim().split(/\s/, 1)[0];
  return said === undefined || !image || isBuiltIn(image) ? undefined : { image, text: said };
}

/** The text that a build is described by, and what the client handed over beside it. */
export async function readRequest(
  deps: PlanRequestDeps,
  request: BuildRequest,
  options: SolveOptions,
): Promise<Given> {
  const inputs = await loadInputs(deps, request, options);
  return { ...(await readDefinition(deps, request, options, inputs)), inputs };
}

async function loadInputs(
  deps: LoadDeps,
  request: BuildRequest,
  options: SolveOptions,
): Promise<ReadonlyMap<string, LoadedInput>> {
  const loader = new DefinitionLoader(deps, request, options, lendersOf(request, deps.handed));
  const inputs = new Map<string, LoadedInput>();
  for (const [name, definition] of Object.entries(request.inputs ?? {}))
    inputs.set(name, await loader.load(definition));
  return inputs;
}

async function planDefinition(
  deps: LoadDeps,
  request: BuildRequest,
  options: SolveOptions,
): Promise<PlannedRequest> {
  const { definition } = request;
  if (!definition) throw new Error("no definition");
  const loader = new DefinitionLoader(deps, request, options, lendersOf(request, deps.handed));
  const loaded = await loader.load(definition);
  const platform = request.platforms[0] ?? deps.host;
  const { inherited, own } = splitHistory([], loaded);
  const { rootfs: _, ...config } = bareConfig(platform);
  const target = {
    ...loaded,
    platform,
    stage: "",
    config: { ...config, history: [...inherited, ...own] },
    inheritedHistory: inherited.length,
  };
  const files = (definition.source?.infos ?? []).map(({ filename, data }) => ({
    name: filename,
    text: Buffer.from(data).toString(),
  }));
  return { plan: { files, targets: [target], warnings: [] }, epoch: request.epoch };
}
