import { TugError } from "../../base/lib/errors.ts";
import { parseReference } from "../../base/spec/docker/reference.ts";
import { rules } from "../../base/spec/dockerfile/rules.ts";
import { closest } from "../../base/spec/dockerfile/suggest.ts";
import type { FromInstruction } from "../../base/spec/dockerfile/syntax.ts";
import { type Expansion, expand } from "../../base/spec/dockerfile/words.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform, normalizePlatform, parsePlatform } from "../../base/spec/oci/platform.ts";
import { globalArgs } from "./arguments.ts";
import type { PlatformPlan } from "./platform-plan.ts";

/** Names in FROM that no ARG before it declares. */
export function lintUndefinedInFrom(
  plan: PlatformPlan,
  from: FromInstruction,
  unmatched: ReadonlySet<string>,
): void {
  const declared = new Set([...plan.globalInfos.keys(), ...plan.globals.keys()]);
  for (const name of unmatched) {
    if (declared.has(name)) continue;
    const hint = closest(name, declared, true);
    const text = `FROM argument '${name}' is not declared${hint === undefined ? "" : ` (did you mean ${hint}?)`}`;
    plan.lint.warn(rules.undefinedArgInFrom, text, from);
  }
}

export function lintRedundantPlatform(plan: PlatformPlan, from: FromInstruction, expanded: Expansion): void {
  const { matched, unmatched, text } = expanded;
  if (matched.size !== 1 || unmatched.size > 0 || !matched.has("TARGETPLATFORM")) return;
  if (text !== plan.globals.get("TARGETPLATFORM")) return;
  plan.lint.warn(
    rules.redundantTargetPlatform,
    `Setting platform to predefined ${from.platform} in FROM is redundant as this is the default behavior`,
    from,
  );
}

/** A platform that is always the same is right only for a stage that is named for it. */
export function lintConstantPlatform(plan: PlatformPlan, from: FromInstruction, expanded: Expansion): void {
  if (expanded.matched.size > 0 || expanded.unmatched.size > 0) return;
  const platform = maybePlatform(expanded.text, plan.input.host);
  const name = from.stage ?? "";
  if (!platform || name.includes(platform.os) || name.includes(platform.architecture)) return;
  const text = `FROM --platform flag should not use constant value ${JSON.stringify(expanded.text)}`;
  plan.lint.warn(rules.fromPlatformFlagConstDisallowed, text, from);
}

function maybePlatform(text: string, host: Platform): Platform | undefined {
  try {
    return parsePlatform(text, host);
  } catch (error) {
    if (error instanceof TugError) return undefined; // told of when it is used
    throw error;
  }
}

/** Base names must be some with the defaults alone, too. */
export function lintDefaultBases(plan: PlatformPlan, predefined: ReadonlyMap<string, string>): void {
  const names = defaultBases(plan, predefined);
  for (const [number, { from }] of plan.file.stages.entries()) {
    const name = names[number];
    if (name === undefined) return;
    if (isReference(name)) continue;
    const text = `Default value for ARG ${from.base} results in empty or invalid base image name`;
    plan.lint.warn(rules.invalidDefaultArgInFrom, text, from);
  }
}

/** What FROM comes to without build arguments, up to the first that fails: the build itself fails of it then, or not at all. */
function defaultBases(plan: PlatformPlan, predefined: ReadonlyMap<string, string>): readonly string[] {
  const names: string[] = [];
  try {
    const { variables } = globalArgs(plan.file, predefined, {});
    for (const { from } of plan.file.stages)
      names.push(expand(from.base, variables, { escape: plan.file.escape }).text);
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
  }
  return names;
}

function isReference(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch (error) {
    if (error instanceof TugError) return false;
    throw error;
  }
}

export function lintBasePlatform(
  plan: PlatformPlan,
  name: string,
  expected: Platform,
  actual: Platform,
  at: Parameters<PlatformPlan["lint"]["warn"]>[2],
): void {
  if (expected.os === actual.os && expected.architecture === actual.architecture) return;
  const shown = (platform: Platform) => JSON.stringify(formatPlatform(normalizePlatform(platform)));
  const text = `Base image ${name} was pulled with platform ${shown(actual)}, expected ${shown(expected)} for current build`;
  plan.lint.warn(rules.invalidBaseImagePlatform, text, at);
}
