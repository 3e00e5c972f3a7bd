import { messageOf } from "../../../base/lib/errors.ts";
import { formatExcerpt } from "../../../base/spec/dockerfile/error.ts";
import { type FailedSource, failureOf, type SolveWarning } from "../../../client/build/events.ts";
import { exitError } from "../../command.ts";
import type { Output } from "../../io/output.ts";
import { paint } from "./colors.ts";
import { isCanceled, secondsBetween, type TracedVertex } from "./trace.ts";

/** The end of each failed step's output between rules, as buildx shows it below the progress. */
export function failedSteps(vertices: readonly TracedVertex[], lines: number): string {
  return vertices
    .filter(({ error }) => error !== undefined && !isCanceled(error))
    .map(({ name, tail, started }) => {
      const shown = tail.slice(-lines);
      const text = shown.map((line) => `${secondsBetween(started, line.at).toFixed(3)} ${line.text}\n`);
      return `------\n > ${name}:\n${text.join("")}------\n`;
    })
    .join("");
}

/** "1 warning found": with rule and line each; `detail` adds the explanation and the lines of the Dockerfile. */
export function warningList(warnings: readonly SolveWarning[], detail: boolean, color: string): string {
  if (warnings.length === 0) return "";
  const count = warnings.length === 1 ? "1 warning found" : `${warnings.length} warnings found`;
  const head = `${count}${detail ? "" : " (use tug --debug to expand)"}:\n`;
  const items = warnings.map(({ short, detail: lines, url, source }) => {
    if (!detail) return ` - ${short}\n`;
    const more = url === "" ? "" : `More info: ${url}\n`;
    return ` - ${short}\n${lines.map((line) => `${line}\n`).join("")}${more}${excerpt(source)}\n`;
  });
  return `\n ${paint(head, color)}${items.join("")}`;
}

function excerpt(source: FailedSource | undefined): string {
  if (!source) return "";
  const at = (line: number) => ({ line, character: 0 });
  const ranges = source.ranges.map(({ start, end }) => ({ start: at(start), end: at(end) }));
  return formatExcerpt(source.file, source.text, ranges);
}

/** Shows the lines that a failed build is about, and gives the error that ends the command: buildx's words and exit codes. */
export async function buildError(error: unknown, err: Output): Promise<Error> {
  const { status, sources } = failureOf(error);
  for (const source of sources) await err.write(excerpt(source));
  // Go's client puts the status in front, unless it says nothing.
  const message = `${status === "Unknown" ? "" : `${status}: `}${messageOf(error)}`;
  return exitError(`ERROR: failed to build: failed to solve: ${message}`, exitCodes[status] ?? 1, error);
}

/** Of buildx; 130 is an interrupted program's. */
const exitCodes: Readonly<Record<string, number>> = {
  Canceled: 130,
  Internal: 100,
  ResourceExhausted: 102,
};
