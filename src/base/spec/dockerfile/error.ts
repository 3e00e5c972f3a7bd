import { type ErrorCode, messageOf, TugError } from "../../lib/errors.ts";
import type { Dockerfile, SourceRange } from "./syntax.ts";

/** A failure that a place in a Dockerfile is to blame for. The message does not name the place: `formatExcerpt` shows it. */
export class DockerfileError extends TugError {
  readonly ranges: readonly SourceRange[];
  /** The file, once somebody who knows it says so. */
  source: { readonly name: string; readonly text: string } | undefined;
  /** What stands before an instruction that could not be understood. */
  before: Dockerfile | undefined;
  constructor(
    message: string,
    ranges: readonly SourceRange[],
    options: { readonly cause?: unknown; readonly code?: ErrorCode } = {},
  ) {
    super(options.code ?? "invalid-argument", message, { cause: options.cause });
    this.ranges = ranges;
  }
}

/** Runs `work`; what it throws gets a place, and `message` around its text. What has a place keeps its own beside the new one. */
export function located<T>(
  range: SourceRange,
  work: () => T,
  message: (text: string) => string = (text) => text,
): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TugError)) throw error;
    const inner = error instanceof DockerfileError ? error.ranges : [];
    throw new DockerfileError(message(messageOf(error)), [...inner, range], {
      cause: error,
      code: error.code,
    });
  }
}

/**
 * The lines around a place with the place marked, as BuildKit's clients print them:
 * "Dockerfile:3", a rule, ` 3 | >>> RNU make` and so on, a rule. "" when there is no such place. Each line ends with a newline.
 */
export function formatExcerpt(file: string, text: string, ranges: readonly SourceRange[]): string {
  if (ranges.length === 0) return "";
  const lines = text.split("\n");
  const first = ranges.reduce((least, range) => Math.min(least, range.start.line), Number.POSITIVE_INFINITY);
  const last = ranges.reduce((most, range) => Math.max(most, range.start.line, range.end.line), 0);
  if (first < 1 || first > lines.length) return "";
  let [from, to] = [first, Math.min(last, lines.length)];
  // Four lines of surroundings for one line, two for several; where the file ends on one side the other gets more.
  const around = from === to ? 4 : 2;
  for (let added = 0; added < around; added++) {
    if (from > 1) {
      from--;
      added++;
    }
    if (to < lines.length) {
      to++;
      added++;
    }
  }
  const rule = "--------------------\n";
  let out = `${file}:${first}\n${rule}`;
  for (let line = from; line <= to; line++) {
    const hit = ranges.some(
      (range) => range.start.line <= line && line <= Math.max(range.start.line, range.end.line),
    );
    out += ` ${String(line).padStart(3)} | ${hit ? ">>>" : "   "} ${shown(lines[line - 1] ?? "")}\n`;
  }
  return out + rule;
}

/** Nobody reads a line of megabytes. */
function shown(line: string): string {
  const text = line.replace(/\r$/, "");
  return text.length > 1000 ? `${text.slice(0, 1000)}…` : text;
}
