import { parseBoolean } from "../../base/lib/boolean.ts";
import { invalid } from "../../base/lib/errors.ts";
import {
  type LintConfig,
  Linter,
  lintSyntax,
  noLintConfig,
  parseLintConfig,
} from "../../base/spec/dockerfile/lint.ts";
import { parseDockerfile } from "../../base/spec/dockerfile/parse.ts";
import { type Dockerfile, perLine } from "../../base/spec/dockerfile/syntax.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";
import type { Vertex } from "../graph.ts";
import type { PlannedTarget } from "../plan.ts";
import type { BuildWarning } from "../progress.ts";
import type { BuildRequest } from "../request.ts";
import { given, globalArgs, predefinedArgs } from "./arguments.ts";
import { resolveBases } from "./bases.ts";
import { mainContext } from "./contexts.ts";
import type { PlanInput, PlanResult } from "./input.ts";
import { dispatchStage } from "./instructions/dispatch.ts";
import { lintDefaultBases } from "./lint-from.ts";
import { Budget, ContextPaths, cacheIgnorer, Needs, type PlatformPlan, readIgnore } from "./platform-plan.ts";
import { scannedBeside } from "./scanned.ts";
import { reachableFrom, type Stage } from "./stage.ts";
import { linkStages, readStages } from "./stages.ts";
import { VertexTable } from "./vertices.ts";

/**
 * Makes the plan of a build out of its Dockerfile and what was asked for; touches nothing. Where it lacks what an image or an ignore
 * file says, it tells so and is called again with that. Throws `DockerfileError` (with places) or another `TugError`.
 */
export function planBuild(input: PlanInput): PlanResult {
  const session = new Planning(input, false);
  const lacking = session.run();
  if (lacking) return lacking;
  session.lint.check();
  const { dockerfile } = input;
  const plan = {
    files: [{ name: dockerfile.name, text: dockerfile.text }],
    targets: session.targets,
    warnings: buildWarnings(session.lint),
  };
  return { kind: "planned", plan };
}

/** One plan being made: twice, first to learn what is read of the contexts, then with just that in what clients send. */
export class Planning {
  /** What was found so far, also where planning ended with an error. */
  lint: Linter;
  readonly targets: PlannedTarget[] = [];
  readonly file: Dockerfile;
  /** Of the first platform. */
  stage: Stage | undefined;
  readonly #input: PlanInput;
  readonly #allStages: boolean;
  readonly #paths = new ContextPaths();

  constructor(input: PlanInput, allStages: boolean) {
    this.#input = input;
    this.#allStages = allStages;
    this.file = parseDockerfile(input.dockerfile.text);
    this.lint = this.#newLint();
  }

  /** undefined when nothing lacks. */
  run(): (PlanResult & { readonly kind: "needs" }) | undefined {
    const needs = new Needs();
    this.#pass(needs, false);
    if (needs.some) {
      const { images, ignoreFiles } = needs;
      return { kind: "needs", images: [...images.values()], ignoreFiles: [...ignoreFiles.values()] };
    }
    this.#pass(needs, true);
    return undefined;
  }

  /** Each pass finds the same, so each begins anew. */
  #newLint(): Linter {
    const lint = new Linter(lintConfig(this.#input.request, this.file));
    lintSyntax(this.file, lint);
    return lint;
  }

  #pass(needs: Needs, last: boolean): void {
    const { request, host } = this.#input;
    const vertices = new VertexTable();
    const budget = new Budget();
    const platforms = request.platforms.length > 0 ? request.platforms : [host];
    this.lint = this.#newLint();
    for (const [index, platform] of platforms.entries()) {
      const lint = index === 0 ? this.lint : silent;
      const target = normalizePlatform(platform);
      const plan = this.#platformPlan(target, { needs, vertices, budget, lint });
      const planned = this.#planPlatform(plan);
      if (!planned) continue;
      if (index === 0) this.stage = planned.stage;
      if (last) this.targets.push(planned.target);
    }
  }

  #platformPlan(
    target: Platform,
    shared: Pick<PlatformPlan, "needs" | "vertices" | "budget" | "lint">,
  ): PlatformPlan {
    const { request, host, ignore } = this.#input;
    const { file } = this;
    const lastStage = file.stages.at(-1)?.from.stage ?? "";
    const predefined = predefinedArgs(host, target, request.target || lastStage, request.buildArgs);
    const { variables, infos } = globalArgs(file, predefined, request.buildArgs);
    const remote = request.context.kind !== "local";
    const plan: PlatformPlan = {
      ...shared,
      input: this.#input,
      file,
      target,
      targetNamed: request.platforms.length > 0,
      multi: isMultiPlatform(request),
      globals: variables,
      globalInfos: infos,
      paths: this.#paths,
      epoch: request.epoch,
      ignore: readIgnore(remote ? "" : ignore, ".dockerignore"),
      allStages: this.#allStages,
      ignoresCache: cacheIgnorer(request),
    };
    lintDefaultBases(plan, predefined);
    return plan;
  }

  #planPlatform(plan: PlatformPlan): { readonly stage: Stage; readonly target: PlannedTarget } | undefined {
    const stages = readStages(plan);
    const target = stages.target(plan.input.request.target);
    linkStages(plan, stages);
    const needed = resolveBases(plan, stages, target);
    if (!needed) return undefined;
    let context: Vertex | undefined;
    const contextOnce = () => {
      context ??= mainContext(plan);
      return context;
    };
    // In the order of the file: what an instruction reads stands before it. Stages of an image's triggers come last of all.
    for (const stage of stages.all)
      if (needed.has(stage) && !stage.dispatched) dispatchStage(plan, stage, contextOnce);
    target.paths.add("/");
    for (const stage of reachableFrom(target)) {
      if (stage.context?.ref.kind === "local") plan.paths.add(stage.context.key, stage.paths);
    }
    for (const [name, value] of Object.entries(plan.input.request.labels))
      target.image.labels.set(name, value);
    const number = stages.all.indexOf(target);
    return {
      stage: target,
      target: {
        platform: plan.target,
        stage: target.name ?? String(number),
        root: target.root,
        config: target.image.document(plan.targetNamed ? plan.target : undefined),
        inheritedHistory: target.image.inherited,
        base: target.baseImage,
        layers: target.layers,
        scanned: scannedBeside(plan, stages.all, target, contextOnce),
      },
    };
  }
}

const silent: Pick<Linter, "warn"> = {
  warn: () => undefined,
};

/** Of the request, or else of the file's own `# check=`. */
export function lintConfig(request: BuildRequest, file: Dockerfile): LintConfig {
  const argument = given(request.buildArgs, "BUILDKIT_DOCKERFILE_CHECK");
  const directive = file.directives.find(({ name }) => name === "check")?.value.split(" ", 1)[0];
  const text = argument ?? directive;
  const config = text === undefined ? noLintConfig : readLintConfig(text);
  return {
    ...config,
    skip: config.skip === "all" ? config.skip : [...config.skip, ...request.skipLintRules],
    error: config.error || request.lintErrors,
  };
}

function readLintConfig(text: string) {
  try {
    return parseLintConfig(text);
  } catch (error) {
    throw invalid(
      `failed to parse check options: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

function isMultiPlatform(request: BuildRequest): boolean {
  const several = request.platforms.length > 1;
  const argument = given(request.buildArgs, "BUILDKIT_MULTI_PLATFORM");
  if (!argument) return request.multiPlatform || several;
  const asked = parseBoolean(argument);
  if (!asked && several)
    throw invalid("conflicting config: returning multiple target platforms is not allowed");
  return asked;
}

/** As clients show them. */
function buildWarnings(lint: Linter): readonly BuildWarning[] {
  return lint.warnings.map(({ rule, text, range }) => ({
    short: `${rule.name}: ${text}${range ? ` (line ${range.start.line})` : ""}`,
    detail: [rule.description],
    url: rule.url,
    location: range && { file: 0, ranges: perLine(range) },
  }));
}
