import type { Clock } from "../base/lib/clock.ts";
import { TugError } from "../base/lib/errors.ts";
import { DockerfileError } from "../base/spec/dockerfile/error.ts";
import type { Platform } from "../base/spec/oci/descriptor.ts";
import { Activity } from "./activity.ts";
import type { ImageNeed, PlanInput, PlanResult } from "./plan/input.ts";
import type { ResolvedImage } from "./plan.ts";
import { type Definition, type DefinitionDeps, readTexts } from "./read-definition.ts";
import type { BuildRequest } from "./request.ts";
import type { BuildImages } from "./run/sources/images.ts";
import type { SolveOptions } from "./solve.ts";

export interface PlanDeps extends DefinitionDeps {
  readonly images: Pick<BuildImages, "resolve">;
  readonly plan: (input: PlanInput) => PlanResult;
  readonly clock: Clock;
  readonly host: Platform;
}

/** Asks the planner until it lacks nothing: base images are resolved side by side, as many times as triggers and stages bring new ones. */
export async function untilPlanned<Answer extends { readonly kind: string }>(
  deps: PlanDeps,
  ask: (input: PlanInput) => Answer,
  request: BuildRequest,
  definition: Definition & Pick<PlanInput, "inputs">,
  options: SolveOptions,
): Promise<Exclude<Answer, Needed>> {
  const images = new Map<string, ResolvedImage | TugError>();
  const ignoreFiles = new Map<string, string>();
  const { session } = options;
  const input: PlanInput = {
    request,
    session: session.id,
    host: deps.host,
    ...definition,
    images,
    ignoreFiles,
  };
  for (;;) {
    options.signal.throwIfAborted();
    const answer = withSource(definition, () => ask(input));
    if (!lacks(answer)) return answer as Exclude<Answer, Needed>;
    const before = images.size + ignoreFiles.size;
    await Promise.all([
      ...answer.images.map(async (need) => images.set(need.key, await resolveImage(deps, need, options))),
      ...answer.ignoreFiles.map(async ({ context, vertex }) => {
        const [tree] = await deps.solver.solve([vertex], options);
        using held = tree;
        ignoreFiles.set(context, readTexts(deps, held, [".dockerignore"]).get(".dockerignore") ?? "");
      }),
    ]);
    if (images.size + ignoreFiles.size === before) {
      throw new TugError("internal", "the planner asks for what it has");
    }
  }
}

/** What is wrong with a Dockerfile is shown with its lines. */
export function withSource<T>({ dockerfile }: Definition, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DockerfileError) error.source ??= { name: dockerfile.name, text: dockerfile.text };
    throw error;
  }
}

type Needed = PlanResult & { readonly kind: "needs" };

function lacks(answer: { readonly kind: string }): answer is Needed {
  return answer.kind === "needs";
}

/** What an image says of itself, as a step of its own for those who watch; why it cannot be asked is the planner's to tell. */
export async function resolveImage(
  deps: Pick<PlanDeps, "images" | "clock">,
  need: ImageNeed,
  { session, signal, progress }: SolveOptions,
): Promise<ResolvedImage | TugError> {
  const told = new Activity(deps.clock, progress, need.progressName);
  try {
    const { reference, platform, pull, store } = need;
    const found = await deps.images.resolve(reference, platform, {
      pull,
      session,
      signal,
      ...(store === undefined ? {} : { store }),
    });
    told.done();
    return found;
  } catch (error) {
    told.done(error);
    if (error instanceof TugError && !signal.aborted) return error;
    throw error;
  }
}
