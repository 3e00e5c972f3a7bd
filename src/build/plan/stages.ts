import { invalid, notFound } from "../../base/lib/errors.ts";
import { DockerfileError, located } from "../../base/spec/dockerfile/error.ts";
import { mountFrom } from "../../base/spec/dockerfile/mount.ts";
import { closest, withHint } from "../../base/spec/dockerfile/suggest.ts";
import type {
  FromInstruction,
  StageInstruction,
  Stage as SyntaxStage,
} from "../../base/spec/dockerfile/syntax.ts";
import { type Expansion, expand } from "../../base/spec/dockerfile/words.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { parsePlatform } from "../../base/spec/oci/platform.ts";
import { findContext } from "./contexts.ts";
import { lintConstantPlatform, lintRedundantPlatform, lintUndefinedInFrom } from "./lint-from.ts";
import type { PlatformPlan } from "./platform-plan.ts";
import { type Command, Stage } from "./stage.ts";

/** The stages of a file by number and name, and the images that instructions name beside them. */
export class Stages {
  readonly all: Stage[] = [];
  readonly #byName = new Map<string, Stage>();
  readonly #images = new Map<string, Stage>();

  /** What is no stage, but an image or a context that an instruction names: one for each name. */
  image(name: string, make: () => Stage): Stage {
    const known = this.#images.get(name);
    if (known) return known;
    const stage = make();
    this.#images.set(name, stage);
    this.add(stage);
    return stage;
  }

  add(stage: Stage): void {
    this.all.push(stage);
    stage.base = this.#byName.get(stage.baseName);
    if (stage.name !== undefined) this.#byName.set(stage.name, stage);
  }

  byName(name: string): Stage | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  byNumber(number: number): Stage {
    const stage = this.all[number];
    if (!stage) throw invalid(`invalid stage index ${number}`);
    return stage;
  }

  /** What they are called in suggestions. */
  get names(): readonly string[] {
    return this.all.map((stage) => stage.shownName).filter((name) => name !== "");
  }

  /** Throws not-found, in BuildKit's words. "" is the last. */
  target(name: string): Stage {
    const last = this.all.findLast((stage) => !stage.unregistered);
    const found = name === "" ? last : (this.byName(name) ?? this.#numbered(name));
    if (found) return found;
    throw notFound(
      withHint(`target stage ${JSON.stringify(name)} could not be found`, name, this.names, true),
    );
  }

  /** `--target 0`, which the classic builder takes. */
  #numbered(name: string): Stage | undefined {
    const stage = /^\d{1,9}$/.test(name) ? this.all[Number(name)] : undefined;
    return stage?.unregistered ? undefined : stage;
  }
}

/** The stages with what FROM says of them. */
export function readStages(plan: PlatformPlan): Stages {
  const stages = new Stages();
  for (const [number, written] of plan.file.stages.entries()) {
    const stage = readStage(plan, written, number);
    stages.add(stage);
    // A context in the stage's place: nothing of the stage counts.
    if (stage.context) stage.base = undefined;
    else stage.steps = countSteps(stage, written.instructions);
  }
  return stages;
}

function readStage(plan: PlatformPlan, { from }: SyntaxStage, number: number): Stage {
  const expanded = located(from.range, () => expandIn(plan, from.base));
  lintUndefinedInFrom(plan, from, expanded.unmatched);
  if (expanded.text === "")
    throw new DockerfileError(`base name (${from.base}) should not be blank`, [from.range]);
  const stage = new Stage({
    from,
    range: from.range,
    baseName: expanded.text,
    shownName: from.stage ?? `stage-${number}`,
    platform: plan.target,
  });
  for (const name of expanded.matched) stage.usedArgs.add(name);
  stage.argumentInfos = new Map(plan.globalInfos);
  stage.ignoreCache = plan.ignoresCache(from.stage);
  if (from.platform !== "") stage.platform = readPlatform(plan, from, stage);
  if (from.stage !== undefined) stage.context = findContext(plan, from.stage, stage.platform);
  return stage;
}

function expandIn(plan: PlatformPlan, text: string): Expansion {
  return expand(text, plan.globals, { escape: plan.file.escape });
}

function readPlatform(plan: PlatformPlan, from: FromInstruction, stage: Stage): Platform {
  const expanded = located(
    from.range,
    () => expandIn(plan, from.platform),
    (text) => `failed to process arguments for platform ${from.platform}: ${text}`,
  );
  lintUndefinedInFrom(plan, from, expanded.unmatched);
  lintRedundantPlatform(plan, from, expanded);
  lintConstantPlatform(plan, from, expanded);
  for (const name of expanded.matched) stage.usedArgs.add(name);
  const hint = (text: string) => {
    for (const name of expanded.unmatched) {
      const close = closest(name, plan.globals.keys(), true);
      if (close !== undefined) return `${text} (did you mean ${close}?)`;
    }
    return text;
  };
  if (expanded.text === "")
    throw new DockerfileError(hint(`empty platform value from expression ${from.platform}`), [from.range]);
  return located(
    from.range,
    () => parsePlatform(expanded.text, plan.input.host),
    (text) => `failed to parse platform ${from.platform}: ${hint(text)}`,
  );
}

/** What progress counts: the base image and the instructions that make files. */
function countSteps(stage: Stage, instructions: readonly StageInstruction[]): number {
  const own = instructions.filter(({ kind }) => ["ADD", "COPY", "RUN", "WORKDIR"].includes(kind)).length;
  return stage.baseName !== "scratch" && !stage.base ? own + 1 : own;
}

/** Finds what instructions read of other stages. Throws where stages need each other. */
export function linkStages(plan: PlatformPlan, stages: Stages): void {
  for (const [number, written] of plan.file.stages.entries()) {
    const stage = stages.byNumber(number);
    stage.commands = written.instructions.map((instruction) =>
      linkCommand(plan, stages, stage, instruction, false),
    );
  }
  refuseCircles(stages);
  const [only] = stages.all;
  if (only && stages.all.length === 1) only.shownName = "";
}

export function linkCommand(
  plan: PlatformPlan,
  stages: Stages,
  stage: Stage,
  instruction: StageInstruction,
  isTrigger: boolean,
): Command {
  const sources = located(instruction.range, () => sourcesOf(plan, stages, instruction));
  for (const source of sources) stage.dependencies.set(source, instruction);
  return { instruction, sources, isTrigger };
}

function sourcesOf(plan: PlatformPlan, stages: Stages, instruction: StageInstruction): readonly Stage[] {
  const { range } = instruction;
  const image = (name: string) => new Stage({ range, baseName: name, shownName: "", platform: plan.target });
  const named = (name: string) => stages.byName(name) ?? stages.image(name, () => image(name));
  if (instruction.kind === "RUN")
    return instruction.mounts.map((mount) => named(mountFrom(mount) || "scratch"));
  if (instruction.kind !== "COPY" || instruction.from === "") return [];
  const { from } = instruction;
  if (expand(from, new Map(), { escape: plan.file.escape }).text !== from) {
    throw invalid(
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
    );
  }
  return [/^[+-]?\d{1,15}$/.test(from) ? stages.byNumber(Number(from)) : named(from)];
}

/** Depth first, without recursion: a file may have thousands of stages. */
function refuseCircles(stages: Stages): void {
  const done = new Set<Stage>();
  for (const start of stages.all) {
    const path: { readonly stage: Stage; readonly rest: Iterator<[Stage, StageInstruction]> }[] = [];
    const instructions: StageInstruction[] = [];
    const onPath = new Set<Stage>();
    const enter = (stage: Stage) => {
      done.add(stage);
      onPath.add(stage);
      path.push({ stage, rest: stage.dependencies.entries() });
    };
    if (!done.has(start)) enter(start);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const next = top.rest.next();
      if (next.done) {
        onPath.delete(top.stage);
        path.pop();
        instructions.pop();
        continue;
      }
      const [dependency, instruction] = next.value;
      if (onPath.has(dependency)) {
        const ranges = [...instructions, instruction].map(({ range }) => range);
        throw new DockerfileError(`circular dependency detected on stage: ${start.shownName}`, ranges);
      }
      if (done.has(dependency)) continue;
      instructions.push(instruction);
      enter(dependency);
    }
  }
}
