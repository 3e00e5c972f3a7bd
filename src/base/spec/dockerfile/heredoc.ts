import { invalid } from "../../lib/errors.ts";
import { expand } from "./words.ts";

/** What `<<-"EOF"` says of the lines that follow. */
export interface HeredocMark {
  readonly name: string;
  readonly chomp: boolean;
  readonly expand: boolean;
}

const none: ReadonlyMap<string, string> = new Map();

/** One word as the mark of a heredoc; undefined when it is none. Throws when its quotes do not end. */
export function readHeredocMark(word: string): HeredocMark | undefined {
  const match = /^\d*<<(-?)\s*([^<]+)$/.exec(word);
  const rest = match?.[2];
  if (rest === undefined) return undefined;
  const { words } = expand(rest, none, { keepUnset: true });
  const [name] = words;
  if (name === undefined || words.length !== 1) return undefined;
  const raw = expand(rest, none, { keepUnset: true, rawQuotes: true }).words;
  if (raw.length !== 1) throw invalid(`internal lexing of heredoc produced inconsistent results: ${rest}`);
  const quotes = (text: string) => text.match(/['"]/g)?.length ?? 0;
  return { name, chomp: match?.[1] === "-", expand: quotes(name) === quotes(raw[0] ?? "") };
}

/** All marks of a line, in their order. */
export function heredocMarks(line: string): readonly HeredocMark[] {
  return heredocWords(line).flatMap((word) => readHeredocMark(word) ?? []);
}

function heredocWords(line: string): readonly string[] {
  try {
    const limit = Number.MAX_SAFE_INTEGER; // nothing is put in, so nothing grows
    return expand(line, none, { rawQuotes: true, rawEscapes: true, keepUnset: true, limit }).words;
  } catch {
    // Shell text that the lexer cannot read (an apostrophe in a comment) has no heredocs that it could find.
    return [];
  }
}

/** `<<-`: without the tabs at the beginning of each line. */
function chompTabs(content: string): string {
  return content.replace(/^\t+/gm, "");
}

/** The content as the file will have it, but for variables. */
export function heredocText(heredoc: { readonly chomp: boolean; readonly content: string }): string {
  return heredoc.chomp ? chompTabs(heredoc.content) : heredoc.content;
}
