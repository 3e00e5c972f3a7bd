import { invalid, TugError } from "../../lib/errors.ts";
import { DirectiveReader } from "./directives.ts";
import { DockerfileError, located } from "./error.ts";
import { heredocMarks } from "./heredoc.ts";
import { splitBlanks, splitLine, splitQuoted } from "./split.ts";
import { type Directive, type EscapeToken, type Heredoc, linesRange, type SourceRange } from "./syntax.ts";
import { isSpace } from "./words.ts";

/** An instruction cut into words but not understood: what `instructions.ts` makes nodes of. */
export interface RawNode {
  readonly keyword: string;
  readonly source: string;
  readonly flags: readonly string[];
  readonly args: readonly string[];
  /** The operands are a JSON list. */
  readonly json: boolean;
  readonly heredocs: readonly Heredoc[];
  readonly comments: readonly string[];
  readonly range: SourceRange;
}

export interface RawFile {
  readonly directives: readonly Directive[];
  readonly escape: EscapeToken;
  readonly nodes: readonly RawNode[];
  readonly emptyContinuations: readonly SourceRange[];
}

/** Bytes of a line; BuildKit's reader takes no more. */
const longestLine = 65_535;

/** Lines to instructions: directives, comments, continuations, heredocs. Throws `DockerfileError`. */
export function readNodes(text: string): RawFile {
  const lines = new Lines(text.replace(/^\ufeff/, ""));
  const directives = new DirectiveReader();
  const nodes: RawNode[] = [];
  const emptyContinuations: SourceRange[] = [];
  let escapeToken: EscapeToken = "\\";
  let comments: string[] = [];
  for (let raw = lines.next(); raw !== undefined; raw = lines.next()) {
    const line = trimStart(trimEnd(raw));
    const number = lines.number;
    const isDirective = located(linesRange(number, number), () => directives.read(line, number));
    if (isDirective) escapeToken = escapeOf(directives.found.at(-1), escapeToken);
    else if (line === "") comments = [];
    else if (line.startsWith("#")) {
      const comment = line.slice(1).trim();
      if (comment === "") comments = [];
      else comments.push(comment);
    } else {
      const joined = joinContinuations(line, lines, escapeToken);
      const range = () => linesRange(number, lines.number);
      if (joined.hasEmpty) emptyContinuations.push(linesRange(joined.last, joined.last));
      const head = located(range(), () => cut(joined.text, escapeToken, false));
      const heredocs = head.mayHaveHeredocs ? readHeredocs(joined.text, lines, number) : [];
      const { mayHaveHeredocs: _, ...node } = head;
      nodes.push({ ...node, heredocs, comments, range: range() });
      comments = [];
    }
  }
  if (nodes.length === 0)
    throw new DockerfileError("file with no instructions", [linesRange(lines.number, lines.number)]);
  return { directives: directives.found, escape: escapeToken, nodes, emptyContinuations };
}

/** The lines of a text, each with its end. */
class Lines {
  readonly #text: string;
  #at = 0;
  number = 0;
  constructor(text: string) {
    this.#text = text;
  }

  next(): string | undefined {
    if (this.#at >= this.#text.length) return undefined;
    const newline = this.#text.indexOf("\n", this.#at);
    const end = newline < 0 ? this.#text.length : newline + 1;
    const line = this.#text.slice(this.#at, end);
    this.#at = end;
    this.number++;
    if (line.length > longestLine / 3 && Buffer.byteLength(line.replace(/\n$/, "")) > longestLine) {
      throw new DockerfileError(`dockerfile line greater than max allowed size of ${longestLine}`, [
        linesRange(this.number, this.number),
      ]);
    }
    return line;
  }
}

function escapeOf(directive: Directive | undefined, current: EscapeToken): EscapeToken {
  if (directive?.name !== "escape") return current;
  if (directive.value === "\\" || directive.value === "`") return directive.value;
  throw new DockerfileError(`invalid escape token '${directive.value}' does not match \` or \\`, [
    directive.range,
  ]);
}

/** A line and those that it continues on; comments between them are no part of it. */
function joinContinuations(
  first: string,
  lines: Lines,
  escapeToken: EscapeToken,
): { readonly text: string; readonly last: number; readonly hasEmpty: boolean } {
  let hasEmpty = false;
  let open = withoutContinuation(first, escapeToken);
  const parts = [open ?? first];
  while (open !== undefined) {
    const raw = lines.next();
    if (raw === undefined) break;
    const line = trimEnd(raw);
    const inner = trimStart(line);
    if (inner.startsWith("#")) continue;
    if (inner === "") {
      hasEmpty = true;
      continue;
    }
    open = withoutContinuation(line, escapeToken);
    parts.push(open ?? line);
  }
  return { text: parts.join(""), last: lines.number, hasEmpty };
}

/** The line before its escape at the end; undefined when it has none. Two escapes are an escaped one. */
function withoutContinuation(line: string, escapeToken: EscapeToken): string | undefined {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t")) end--;
  if (line[end - 1] !== escapeToken || line[end - 2] === escapeToken) return undefined;
  return line.slice(0, end - 1);
}

type Head = Omit<RawNode, "heredocs" | "comments" | "range"> & { readonly mayHaveHeredocs: boolean };

function cut(source: string, escapeToken: EscapeToken, inTrigger: boolean): Head {
  const { keyword, flags, rest } = splitLine(source, escapeToken);
  const name = keyword.toUpperCase();
  if (name === "ONBUILD" && !inTrigger) {
    // Whatever is wrong with a trigger's operands is wrong now, not only when it is pulled.
    const trigger = rest === "" ? undefined : cut(rest, escapeToken, true);
    const args = trigger ? [trigger.keyword, ...trigger.args] : [];
    return { keyword, source, flags, args, json: false, mayHaveHeredocs: trigger?.mayHaveHeredocs ?? false };
  }
  const { args, json } = operands(name, rest, escapeToken);
  const mayHaveHeredocs = !json && (name === "RUN" || name === "COPY" || name === "ADD");
  return { keyword, source, flags, args, json, mayHaveHeredocs };
}

/** Operands cut as each instruction has them. */
function operands(
  name: string,
  rest: string,
  escapeToken: EscapeToken,
): { args: readonly string[]; json: boolean } {
  const words = (args: readonly string[]) => ({ args, json: false });
  switch (name) {
    case "ADD":
    case "COPY":
    case "VOLUME": {
      const list = jsonList(rest);
      return list ? { args: list, json: true } : words(splitBlanks(rest));
    }
    case "CMD":
    case "ENTRYPOINT":
    case "RUN":
    case "SHELL":
      return command(rest);
    case "HEALTHCHECK": {
      const match = /^(\S+)\s*(.*)$/s.exec(rest);
      if (!match) return words([]);
      const { args, json } = command(match[2] ?? "");
      return { args: [match[1] ?? "", ...args], json };
    }
    case "ENV":
    case "LABEL":
      return words(keyValues(name, rest, escapeToken));
    case "ARG":
      return words(splitQuoted(rest, escapeToken));
    case "EXPOSE":
    case "FROM":
      return words(splitBlanks(rest));
    default:
      return words(rest === "" ? [] : [rest]);
  }
}

function command(rest: string): { args: readonly string[]; json: boolean } {
  if (rest === "") return { args: [], json: false };
  const list = jsonList(rest);
  return list ? { args: list, json: true } : { args: [rest], json: false };
}

/** A JSON list of strings; undefined for what is no JSON list, which is a shell's text then. */
function jsonList(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof TugError) throw error;
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  if (value.every((one) => typeof one === "string")) return value;
  throw invalid("when using JSON array syntax, arrays must be comprised of strings only");
}

/** Key, value and delimiter by threes: "=" or, in the old form with one pair and a blank, "". */
function keyValues(name: string, rest: string, escapeToken: EscapeToken): readonly string[] {
  const words = splitQuoted(rest, escapeToken);
  const [first] = words;
  if (first === undefined) return [];
  if (!first.includes("=")) {
    const match = /^([^\t\v\f\r ]*)[\t\v\f\r ]+(.*)$/s.exec(rest);
    if (!match) throw invalid(`${name} must have two arguments`);
    return [match[1] ?? "", match[2] ?? "", ""];
  }
  return words.flatMap((word) => {
    const at = word.indexOf("=");
    if (at < 0)
      throw invalid(
        `Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      );
    return [word.slice(0, at), word.slice(at + 1), "="];
  });
}

function readHeredocs(source: string, lines: Lines, first: number): readonly Heredoc[] {
  if (!source.includes("<<")) return [];
  const marks = located(linesRange(first, lines.number), () => heredocMarks(source));
  return marks.map((mark) => {
    const content: string[] = [];
    for (let raw = lines.next(); raw !== undefined; raw = lines.next()) {
      const line = trimEnd(raw);
      if ((mark.chomp ? line.replace(/^\t+/, "") : line) === mark.name)
        return { ...mark, content: content.join("") };
      content.push(raw);
    }
    throw new DockerfileError("unterminated heredoc", [linesRange(first, lines.number)]);
  });
}

function trimEnd(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === "\n" || line[end - 1] === "\r")) end--;
  return line.slice(0, end);
}

function trimStart(line: string): string {
  let at = 0;
  while (at < line.length && isSpace(line[at] ?? "")) at++;
  return line.slice(at);
}
