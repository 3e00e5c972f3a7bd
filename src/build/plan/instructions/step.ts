import { rules } from "../../../base/spec/dockerfile/rules.ts";
import { closest } from "../../../base/spec/dockerfile/suggest.ts";
import { type ExpandOptions, type Expansion, expand } from "../../../base/spec/dockerfile/words.ts";
import type { Op, Vertex } from "../../graph.ts";
import { shownCommand, stepName } from "../names.ts";
import type { PlatformPlan } from "../platform-plan.ts";
import type { Command, Stage } from "../stage.ts";
import type { Inputs } from "../vertices.ts";

/** One instruction and where it stands: what the functions that carry it out are given. */
export class Step {
  readonly plan: PlatformPlan;
  readonly stage: Stage;
  readonly command: Command;
  /** What COPY reads without --from; made when something asks. */
  readonly mainContext: () => Vertex | undefined;

  constructor(plan: PlatformPlan, stage: Stage, command: Command, mainContext: () => Vertex | undefined) {
    this.plan = plan;
    this.stage = stage;
    this.command = command;
    this.mainContext = mainContext;
  }

  get platform() {
    return this.stage.platform ?? this.plan.target;
  }

  /** A word with its variables; those that nothing defines are told of. */
  expand(text: string, options: ExpandOptions = {}): string {
    return this.expansion(text, options).text;
  }

  expansion(text: string, options: ExpandOptions = {}): Expansion {
    const expansion = this.#expansion(text, options);
    this.#lintUndefined(expansion.unmatched);
    return expansion;
  }

  /** The words of a text as EXPOSE reads it: a variable that nothing defines is no word, and BuildKit warns of none. */
  words(text: string): readonly string[] {
    return this.#expansion(text, {}).words;
  }

  #expansion(text: string, options: ExpandOptions): Expansion {
    const expansion = expand(text, this.stage.env, { escape: this.plan.file.escape, ...options });
    this.plan.budget.spend(expansion.text.length);
    return expansion;
  }

  #lintUndefined(unmatched: ReadonlySet<string>): void {
    if (unmatched.size === 0) return;
    for (const name of unmatched) {
      if (this.stage.declared.has(name) || scanArgs.has(name)) continue;
      const hint = this.plan.budget.mayHint() ? closest(name, this.stage.env.keys(), true) : undefined;
      const text = `Usage of undefined variable '$${name}'${hint === undefined ? "" : ` (did you mean $${hint}?)`}`;
      this.plan.lint.warn(rules.undefinedVar, text, this.command.instruction);
    }
  }

  /** The step's name in progress. */
  name(text: string, options: { readonly keep: boolean } = { keep: false }): string {
    const { plan, stage, command } = this;
    const shown = shownCommand(plan, text, stage.env, options);
    return stepName(plan, stage, shown, this.platform, stage.env, command.isTrigger);
  }

  /** A vertex that is the stage's root from now on, and a layer of its image. */
  addLayer(op: Op, inputs: Inputs, name: string, history: string): void {
    const { plan, stage, command } = this;
    const ignoreCache = stage.ignoreCache && op.kind !== "image";
    const { range } = command.instruction;
    stage.root = plan.vertices.add(op, inputs.list, { name, range, ignoreCache });
    stage.layers.push(stage.root);
    stage.image.commit(history, true);
  }
}

/** Arguments that speak to the scanner for the bill of materials and are in no environment. */
export const scanArgs: ReadonlySet<string> = new Set([
  "BUILDKIT_SBOM_SCAN_CONTEXT",
  "BUILDKIT_SBOM_SCAN_STAGE",
]);

/** Words for the image's shell. */
export function withShell(stage: Stage, args: readonly string[]): readonly string[] {
  const { Shell } = stage.image.run;
  const shell = Shell && Shell.length > 0 ? Shell : ["/bin/sh", "-c"];
  return [...shell, args.join(" ")];
}
