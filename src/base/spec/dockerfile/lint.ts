import { parseBoolean } from "../../lib/boolean.ts";
import { invalid, messageOf, TugError } from "../../lib/errors.ts";
import { parseDirective } from "./directives.ts";
import { type Rule, rules } from "./rules.ts";
import type { Dockerfile, FromInstruction, Instruction, SourceRange } from "./syntax.ts";

/** `# check=skip=A,B;experimental=C;error=true`. */
export interface LintConfig {
  readonly skip: "all" | readonly string[];
  readonly experimental: "all" | readonly string[];
  readonly error: boolean;
}

export const noLintConfig: LintConfig = { skip: [], experimental: [], error: false };

/** Throws invalid-argument for options that there are not. */
export function parseLintConfig(text: string): LintConfig {
  let config = noLintConfig;
  if (text.trim() === "") return config;
  for (const part of text.split(";")) {
    const at = part.indexOf("=");
    if (at < 0) throw invalid(`invalid check option ${JSON.stringify(part)}`);
    const key = part.slice(0, at).trim();
    const value = part.slice(at + 1).trim();
    if (key === "skip" || key === "experimental")
      config = { ...config, [key]: value === "all" ? "all" : value.split(",").map((rule) => rule.trim()) };
    else if (key === "error") config = { ...config, error: errorOption(part, value) };
    else throw invalid(`invalid check option ${JSON.stringify(key)}`);
  }
  return config;
}

function errorOption(part: string, value: string): boolean {
  try {
    return parseBoolean(value);
  } catch (error) {
    throw invalid(`failed to parse check option ${JSON.stringify(part)}: ${messageOf(error)}`, error);
  }
}

export interface LintWarning {
  readonly rule: Rule;
  readonly text: string;
  readonly range: SourceRange | undefined;
}

/** Takes warnings of those rules that are on: for the file, and above that for the instruction by a comment (`# check=skip=…`). */
export class Linter {
  readonly warnings: LintWarning[] = [];
  readonly #config: LintConfig;

  constructor(config: LintConfig) {
    this.#config = config;
  }

  warn(
    rule: Rule,
    text: string,
    at: { readonly range: SourceRange; readonly comments: readonly string[] },
  ): void {
    if (this.#isOn(rule, this.#config, ownConfig(at.comments)))
      this.warnings.push({ rule, text, range: at.range });
  }

  #isOn(rule: Rule, ...configs: readonly LintConfig[]): boolean {
    const names = (list: "all" | readonly string[]) => list === "all" || list.includes(rule.name);
    if (rule.experimental) return configs.some((config) => names(config.experimental));
    return !configs.some((config) => names(config.skip));
  }

  /** Throws where warnings are to be errors and there are some. */
  check(): void {
    if (!this.#config.error || this.warnings.length === 0) return;
    const names = [...new Set(this.warnings.map((warning) => warning.rule.name))].sort();
    throw invalid(`lint violation found for rules: ${names.join(", ")}`);
  }
}

function ownConfig(comments: readonly string[]): LintConfig {
  for (const comment of comments) {
    const directive = parseDirective(comment);
    if (directive?.name !== "check") continue;
    try {
      return parseLintConfig(directive.value.split(" ", 1)[0] ?? "");
    } catch (error) {
      if (error instanceof TugError) return noLintConfig; // a comment is no place for errors
      throw error;
    }
  }
  return noLintConfig;
}

/** The rules that need no more than the text. */
export function lintSyntax(file: Dockerfile, lint: Linter): void {
  lintInstructions(file, lint);
  lintStageNames(file, lint);
  lintCasing(stageInstructions(file), lint);
}

/** Those that need no more than an instruction: they hold for what stands before one that cannot be understood, too. */
export function lintInstructions(file: Dockerfile, lint: Linter): void {
  for (const range of file.emptyContinuations)
    lint.warn(rules.noEmptyContinuation, "Empty continuation line", { range, comments: [] });
  for (const instruction of [...file.globalArgs, ...stageInstructions(file)])
    lintInstruction(instruction, lint);
}

function stageInstructions(file: Dockerfile): readonly Instruction[] {
  return file.stages.flatMap((stage): readonly Instruction[] => [stage.from, ...stage.instructions]);
}

function lintInstruction(node: Instruction, lint: Linter): void {
  if (node.kind === "MAINTAINER")
    lint.warn(
      rules.maintainerDeprecated,
      "Maintainer instruction is deprecated in favor of using label",
      node,
    );
  if (node.kind === "ARG")
    lintDescription(
      "ARG",
      node.args.map((arg) => arg.name),
      node,
      lint,
    );
  if (node.kind !== "FROM") return;
  const { writtenStage, writtenAs, keyword } = node;
  if (writtenStage !== undefined && writtenStage !== writtenStage.toLowerCase())
    lint.warn(rules.stageNameCasing, `Stage name '${writtenStage}' should be lowercase`, node);
  if (writtenAs !== undefined && !sameCasing(keyword, writtenAs))
    lint.warn(rules.fromAsCasing, `'${writtenAs}' and '${keyword}' keywords' casing do not match`, node);
  if (node.stage !== undefined) lintDescription("FROM", [node.stage], node, lint);
}

/** A keyword in mixed case is told of by another rule. */
function sameCasing(from: string, as: string): boolean {
  if (from === from.toLowerCase()) return as === as.toLowerCase();
  return from !== from.toUpperCase() || as === as.toUpperCase();
}

function lintDescription(kind: string, names: readonly string[], node: Instruction, lint: Linter): void {
  const first = node.comments.at(-1)?.split(" ", 1)[0];
  const [name] = names;
  if (first === undefined || name === undefined || names.includes(first)) return;
  const example = names.length > 1 ? "<arg_key>" : name;
  const text = `Comment for ${kind} should follow the format: \`# ${example} <description>\``;
  lint.warn(rules.invalidDefinitionDescription, text, node);
}

function lintStageNames(file: Dockerfile, lint: Linter): void {
  const seen = new Set<string>();
  for (const { from } of file.stages) {
    if (from.stage === undefined) continue;
    if (from.stage === "context" || from.stage === "scratch") {
      const text = `Stage name should not use the same name as reserved stage ${JSON.stringify(from.stage)}`;
      lint.warn(rules.reservedStageName, text, from);
    }
    if (seen.has(from.stage)) lintDuplicate(from, from.stage, lint);
    seen.add(from.stage);
  }
}

function lintDuplicate(from: FromInstruction, stage: string, lint: Linter): void {
  const text = `Duplicate stage name ${JSON.stringify(stage)}, stage names should be unique`;
  lint.warn(rules.duplicateStageName, text, from);
}

/** What most instructions are written in is right; upper case where both are as many. */
function lintCasing(all: readonly Instruction[], lint: Linter): void {
  const lower = all.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = all.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const right = lower > upper ? "lowercase" : "uppercase";
  for (const node of all) {
    const expected = lower > upper ? node.keyword.toLowerCase() : node.keyword.toUpperCase();
    if (node.keyword === expected) continue;
    const text = `Command '${node.keyword}' should match the case of the command majority (${right})`;
    lint.warn(rules.consistentInstructionCasing, text, node);
  }
}
