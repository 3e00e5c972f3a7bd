import { TugError } from "../../../base/lib/errors.ts";
import { DockerfileError, formatExcerpt } from "../../../base/spec/dockerfile/error.ts";
import { Linter, type LintWarning, lintInstructions } from "../../../base/spec/dockerfile/lint.ts";
import { parseDockerfile } from "../../../base/spec/dockerfile/parse.ts";
import { type Dockerfile, perLine, type SourceRange } from "../../../base/spec/dockerfile/syntax.ts";
import type { PlanInput, PlanResult } from "../input.ts";
import { lintConfig, Planning } from "../planner.ts";
import { columns } from "./columns.ts";
import { docComment } from "./doc-comment.ts";
import { describeOutline, type Outline } from "./outline.ts";

/** What `--call` gives back: BuildKit's subrequests (frontend/subrequests), by name: "result.json", "result.txt", "version", … */
export type CallResult =
  | { readonly kind: "result"; readonly files: Readonly<Record<string, Uint8Array>> }
  | (PlanResult & { readonly kind: "needs" });

/** `--check`: warnings, and the error that a build would end with. All stages unless a target is named. */
export function checkBuild(input: PlanInput): CallResult {
  let lint: readonly LintWarning[] = [];
  let failure: TugError | undefined;
  try {
    const planning = new Planning(input, input.request.target === "");
    try {
      const lacking = planning.run();
      if (lacking) return lacking;
      planning.lint.check();
    } finally {
      lint = planning.lint.warnings;
    }
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    failure = error;
    if (error instanceof DockerfileError && error.before) lint = lintBefore(input, error.before);
  }
  const { name, text } = input.dockerfile;
  const warnings = lint.map((warning) => ({
    ruleName: warning.rule.name,
    description: warning.rule.description,
    ...(warning.rule.url !== "" && { url: warning.rule.url }),
    detail: warning.text,
    location: { ranges: warning.range ? jsonRanges([warning.range]) : [] },
  }));
  const ranges = failure instanceof DockerfileError ? mergeRanges(failure.ranges) : [];
  const json = {
    warnings: warnings.length > 0 ? warnings : null,
    sources: [{ filename: name, data: base64(text), language: "Dockerfile" }],
    ...(failure && { buildError: { message: failure.message, location: { ranges: jsonRanges(ranges) } } }),
  };
  return result(json, checkText(lint, input.dockerfile), {
    "result.statuscode": lint.length > 0 || failure ? "1" : "0",
  });
}

function lintBefore(input: PlanInput, before: Dockerfile): readonly LintWarning[] {
  const lint = new Linter(lintConfig(input.request, before));
  lintInstructions(before, lint);
  return lint.warnings;
}

function checkText(
  warnings: readonly LintWarning[],
  file: { readonly name: string; readonly text: string },
): string {
  const line = (warning: LintWarning) => warning.range?.start.line ?? 0;
  return warnings
    .toSorted((a, b) => line(a) - line(b))
    .map(({ rule, text, range }) => {
      const url = rule.url === "" ? "" : ` - ${rule.url}`;
      const excerpt = range ? formatExcerpt(file.name, file.text, [range]) : "";
      return `\nWARNING: ${rule.name}${url}\n${text}\n${excerpt}`;
    })
    .join("");
}

/** `--call targets`: the stages. */
export function listTargets(file: PlanInput["dockerfile"]): CallResult {
  const { stages } = parseDockerfile(file.text);
  const targets = stages.map(({ from }, index) => {
    const description = docComment(from.comments, from.stage ?? "");
    return {
      ...(from.stage !== undefined && { name: from.stage }),
      ...(index === stages.length - 1 && { default: true }),
      ...(description !== "" && { description }),
      base: from.base,
      ...(from.platform !== "" && { platform: from.platform }),
      location: { ranges: jsonRanges([from.range]) },
    };
  });
  const rows = targets.map((target) => {
    const name = target.name ?? "";
    const shown = target.default ? `${name} (default)`.trim() : name;
    return [shown, target.description ?? ""];
  });
  return result({ targets, sources: [base64(file.text)] }, columns([["TARGET", "DESCRIPTION"], ...rows], 1));
}

/** `--call outline`: what the target can be given. */
export function outlineBuild(input: PlanInput): CallResult {
  const planning = new Planning(input, false);
  const lacking = planning.run();
  if (lacking) return lacking;
  const outline: Outline = planning.stage
    ? describeOutline(planning.stage)
    : { name: "", description: "", args: [], secrets: [], ssh: [] };
  const location = (range: SourceRange) => ({ location: { ranges: jsonRanges([range]) } });
  const asked = (list: Outline["secrets"]) =>
    list.map(({ name, required, range }) => ({ name, ...(required && { required }), ...location(range) }));
  const json = {
    ...(outline.name !== "" && { name: outline.name }),
    ...(outline.description !== "" && { description: outline.description }),
    ...(outline.args.length > 0 && {
      args: outline.args.map(({ name, description, value, range }) => ({
        name,
        ...(description !== "" && { description }),
        ...(value !== "" && { value }),
        ...location(range),
      })),
    }),
    ...(outline.secrets.length > 0 && { secrets: asked(outline.secrets) }),
    ...(outline.ssh.length > 0 && { ssh: asked(outline.ssh) }),
    sources: [base64(input.dockerfile.text)],
  };
  return result(json, outlineText(outline));
}

function outlineText(outline: Outline): string {
  const { name, description, args, secrets, ssh } = outline;
  const head = [
    ["TARGET:", name || "(default)"],
    ...(description === "" ? [] : [["DESCRIPTION:", description]]),
  ];
  const asked = (list: Outline["secrets"]) => list.map((one) => [one.name, one.required ? "true" : ""]);
  const parts = [
    name === "" && description === "" ? "" : columns(head, 1),
    args.length === 0
      ? ""
      : columns(
          [
            ["BUILD ARG", "VALUE", "DESCRIPTION"],
            ...args.map((arg) => [arg.name, arg.value, arg.description]),
          ],
          3,
        ),
    secrets.length === 0 ? "" : columns([["SECRET", "REQUIRED"], ...asked(secrets)], 3),
    ssh.length === 0 ? "" : columns([["SSH", "REQUIRED"], ...asked(ssh)], 3),
  ];
  return parts
    .filter((part) => part !== "")
    .map((part) => `${part}\n`)
    .join("");
}

function result(json: unknown, text: string, more: Readonly<Record<string, string>> = {}): CallResult {
  const files = { "result.json": goJson(json), "result.txt": text, version: "1.0.0", ...more };
  const encoder = new TextEncoder();
  const encoded = Object.entries(files).map(([name, content]) => [name, encoder.encode(content)] as const);
  return { kind: "result", files: Object.fromEntries(encoded) };
}

/** As Go's encoder has it: what HTML would take for its own is escaped. */
function goJson(value: unknown): string {
  const hex = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, undefined, 2).replace(/[<>&\u2028\u2029]/g, hex);
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function jsonRanges(ranges: readonly SourceRange[]) {
  return ranges
    .flatMap(perLine)
    .map(({ start, end }) => ({ start: { line: start.line }, end: { line: end.line } }));
}

/** Places that overlap become one; in the order of the file. */
function mergeRanges(ranges: readonly SourceRange[]): readonly SourceRange[] {
  const merged: SourceRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.start.line - b.start.line)) {
    const last = merged.at(-1);
    if (!last || range.start.line > last.end.line) merged.push(range);
    else if (range.end.line > last.end.line)
      merged[merged.length - 1] = { start: last.start, end: range.end };
  }
  return merged;
}
