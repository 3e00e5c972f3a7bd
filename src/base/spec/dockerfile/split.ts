import { isSpace } from "./words.ts";

/** An instruction's line taken apart: the keyword, the flags before its operands, and what remains, trimmed. */
export interface SplitLine {
  readonly keyword: string;
  /** "--name" or "--name=value", quotes and escapes taken off. */
  readonly flags: readonly string[];
  readonly rest: string;
}

/** `--` alone ends the flags and is none of them. */
export function splitLine(line: string, escapeToken: string): SplitLine {
  const match = /^([^\t\v\f\r ]*)(?:[\t\v\f\r ]+(.*))?$/s.exec(line.trim());
  const keyword = match?.[1] ?? "";
  const operands = match?.[2] ?? "";
  const flags: string[] = [];
  let at = 0;
  for (;;) {
    while (at < operands.length && isSpace(operands[at] ?? "")) at++;
    if (!operands.startsWith("--", at)) break;
    const word = readFlag(operands, at, escapeToken);
    at = word.end;
    if (word.text === "--") break;
    flags.push(word.text);
  }
  return { keyword, flags, rest: operands.slice(at).trim() };
}

function readFlag(
  text: string,
  from: number,
  escapeToken: string,
): { readonly text: string; readonly end: number } {
  let out = "";
  let quote = "";
  let at = from;
  for (; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === escapeToken) {
      out += text[++at] ?? "";
    } else if (quote !== "") {
      if (char === quote) quote = "";
      else out += char;
    } else if (char === "'" || char === '"') {
      quote = char;
    } else if (isSpace(char)) {
      break;
    } else {
      out += char;
    }
  }
  return { text: out, end: at };
}

/** Words at blanks that are neither quoted nor escaped; quotes and escapes stay, for what expands the words. */
export function splitQuoted(text: string, escapeToken: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  let quoted = false;
  const flush = () => {
    if (word !== "" || quoted) words.push(word);
    word = "";
    quoted = false;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === escapeToken && quote !== "'") {
      const next = text[++at];
      // An escape that ends the text escapes nothing.
      if (next !== undefined) word += char + next;
    } else if (quote !== "") {
      if (char === quote) quote = "";
      word += char;
    } else if (isSpace(char)) {
      flush();
    } else {
      if (char === "'" || char === '"') {
        quote = char;
        quoted = true;
      }
      word += char;
    }
  }
  flush();
  return words;
}

/** Words at blanks, whatever is quoted. */
export function splitBlanks(text: string): readonly string[] {
  return text === "" ? [] : text.split(/[\t\v\f\r ]+/);
}
