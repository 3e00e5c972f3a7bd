import { TugError } from "../../base/lib/errors.ts";
import { formatReference, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { DockerfileError, located } from "../../base/spec/dockerfile/error.ts";
import { parseTrigger } from "../../base/spec/dockerfile/parse.ts";
import { withHint } from "../../base/spec/dockerfile/suggest.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import type { ResolvedImage } from "../plan.ts";
import { askImage, findContext, hasLayers, loadContext } from "./contexts.ts";
import { ImageDraft } from "./image-draft.ts";
import { bareConfig, type LoadedInput, parseClientConfig, splitHistory } from "./inputs.ts";
import { lintBasePlatform } from "./lint-from.ts";
import { stepName } from "./names.ts";
import type { PlatformPlan } from "./platform-plan.ts";
import { reachableFrom, type Stage } from "./stage.ts";
import { linkCommand, type Stages } from "./stages.ts";

/**
 * Finds out what every stage that is needed begins from, and the triggers that this brings, which may need further ones. undefined
 * when something is not known yet (`plan.needs` has it).
 */
export function resolveBases(plan: PlatformPlan, stages: Stages, target: Stage): Set<Stage> | undefined {
  for (;;) {
    const reachable = reachableFrom(target);
    const needed = (stage: Stage) => plan.allStages || reachable.has(stage);
    for (const stage of stages.all) {
      if (stage.base || stage.resolved) continue;
      // Names that are none are refused in stages that nobody needs, too.
      if (!needed(stage)) checkName(stage);
      else located(stage.range, () => resolveBase(plan, stages, stage));
    }
    if (plan.needs.some) return undefined;
    let more = false;
    for (const stage of stages.all) if (needed(stage) && takeTriggers(plan, stages, stage)) more = true;
    if (!more) return plan.allStages ? new Set(stages.all) : reachable;
  }
}

function checkName(stage: Stage): void {
  if (stage.baseName !== "scratch" && !stage.context) located(stage.range, () => referenceOf(stage.baseName));
}

function referenceOf(name: string) {
  try {
    return withDefaultTag(parseReference(name));
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    throw new DockerfileError(`failed to parse stage name ${JSON.stringify(name)}: ${error.message}`, [], {
      cause: error,
    });
  }
}

function resolveBase(plan: PlatformPlan, stages: Stages, stage: Stage): void {
  const platform = stage.platform ?? plan.target;
  if (stage.context) {
    resolveContext(plan, stage, platform);
    return;
  }
  if (stage.baseName === "scratch") {
    stage.platform = plan.target;
    stage.image = ImageDraft.empty(plan.target);
    stage.resolved = true;
    if (stage.unregistered) stage.dispatched = true;
    return;
  }
  const parsed = referenceOf(stage.baseName);
  const reference = formatReference(parsed);
  const context = findContext(plan, reference, platform);
  if (context) {
    stage.context = context;
    resolveContext(plan, stage, platform);
    // The context stands for the base, not for the stage.
    stage.dispatched = stage.unregistered;
    return;
  }
  const image = askBase(plan, stages, stage, reference, platform);
  if (!image) return;
  const shown =
    image.digest === undefined || parsed.digest !== undefined ? reference : `${reference}@${image.digest}`;
  stage.platform = platform;
  stage.image = ImageDraft.of(image.config);
  stage.baseImage = { reference, image: image.image, layers: image.config.rootfs.diff_ids };
  stage.resolved = true;
  if (stage.unregistered) stage.dispatched = true;
  if (!hasLayers(image)) return;
  lintBasePlatform(plan, stage.baseName, platform, stage.image.platform, stage);
  const name = stepName(plan, stage, `FROM ${shown}`, platform, new Map());
  const op = { kind: "image", reference, image: image.image, platform } as const;
  stage.root = plan.vertices.add(op, [], { name, range: stage.range });
}

function askBase(
  plan: PlatformPlan,
  stages: Stages,
  stage: Stage,
  reference: string,
  platform: Platform,
): ResolvedImage | undefined {
  const prefix = plan.multi ? `[${formatPlatform(platform)} internal]` : "[internal]";
  const progressName = `${prefix} load metadata for ${reference}`;
  const range = { file: 0, range: stage.range };
  try {
    return askImage(plan, { reference, platform, progressName, range });
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    const names = [...stages.names, ...commonImages];
    const text = withHint(`${stage.baseName}: ${error.message}`, stage.baseName, names, true);
    throw new DockerfileError(text, [], { cause: error, code: error.code });
  }
}

/** What people begin from most: suggested when a name is close to one. */
const commonImages = ["alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora"].flatMap(
  (name) => [name, `${name}:latest`],
);

function resolveContext(plan: PlatformPlan, stage: Stage, platform: Platform): void {
  if (!stage.context) return;
  const loaded = loadContext(plan, stage.context, platform);
  if (!loaded) return;
  stage.resolved = true;
  stage.dispatched = true;
  stage.root = loaded.vertex;
  stage.platform = platform;
  if (loaded.input) {
    beginFromInput(stage, loaded.input, platform);
    return;
  }
  stage.image = loaded.image ? ImageDraft.of(loaded.image.config) : ImageDraft.empty(platform);
  if (loaded.image && loaded.reference !== undefined)
    stage.baseImage = {
      reference: loaded.reference,
      image: loaded.image.image,
      layers: loaded.image.config.rootfs.diff_ids,
    };
}

function beginFromInput(
  stage: Stage,
  input: LoadedInput & { readonly config: string | undefined },
  platform: Platform,
): void {
  stage.baseImage = input.base;
  stage.layers = [...input.layers];
  const config = input.config === undefined ? bareConfig(platform) : parseClientConfig(input.config);
  const { inherited, own } = splitHistory(config.history ?? [], input);
  stage.image = ImageDraft.of({ ...config, history: inherited });
  stage.image.continue(own);
}

/** True when triggers of the base made the stage need others. */
function takeTriggers(plan: PlatformPlan, stages: Stages, stage: Stage): boolean {
  if (stage.triggersDone || stage.unregistered) return false;
  stage.triggersDone = true;
  const { from } = stage;
  const ofStage = stage.base?.commands.flatMap(({ instruction }) =>
    instruction.kind === "ONBUILD" ? [instruction.trigger] : [],
  );
  const triggers = ofStage ?? stage.image.run.OnBuild ?? [];
  // A context in the stage's own place: its instructions do not run, its base's triggers neither.
  if (!from || stage.dispatched || triggers.length === 0) return false;
  stage.image.run.OnBuild = null;
  const commands = triggers.map((trigger) =>
    located(from.range, () => linkCommand(plan, stages, stage, parseTrigger(trigger, from), true)),
  );
  stage.commands = [...commands, ...stage.commands];
  stage.steps += commands.length;
  return commands.some((command) => command.sources.length > 0);
}
