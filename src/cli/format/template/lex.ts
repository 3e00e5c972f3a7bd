import { invalid } from "../../../base/lib/errors.ts";

/** A token inside an action. `glued` tells that no space stood before it (for `.A.B` and `(x).Y`). */
export interface Token {
  readonly kind: "field" | "dot" | "variable" | "word" | "string" | "char" | "number" | "symbol";
  readonly text: string;
  readonly value?: string | number;
  readonly glued: boolean;
  readonly column: number;
}

/** Plain text, or the tokens of one `{{ }}`. */
export type Piece =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "action";
      readonly tokens: readonly Token[];
      readonly line: number;
      readonly column: number;
    };

const fail = (line: number, why: string) => invalid(`template: :${line}: ${why}`);

/** Cuts a template into text and actions; trims around `{{-` and `-}}`, drops comments. */
export function lex(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  const lineAt = (offset: number) => source.slice(0, offset).split("\n").length;
  for (;;) {
    const open = source.indexOf("{{", at);
    let text = source.slice(at, open < 0 ? undefined : open);
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, "");
    if (open < 0) {
      if (text !== "") pieces.push({ kind: "text", text });
      return pieces;
    }
    let inside = open + 2;
    if (/^-[ \t\r\n]/.test(source.slice(inside, inside + 2))) {
      text = text.replace(/[ \t\r\n]+$/, "");
      inside += 2;
    }
    if (text !== "") pieces.push({ kind: "text", text });
    const line = lineAt(open);
    const lineStart = source.lastIndexOf("\n", open) + 1;
    const comment = /^\s*\/\*/.exec(source.slice(inside));
    if (comment) {
      const end = source.indexOf("*/", inside);
      const close = end < 0 ? null : /^(\s+-)?\}\}/.exec(source.slice(end + 2));
      if (!close) throw fail(line, end < 0 ? "unclosed comment" : "comment ends before closing delimiter");
      trimNext = close[1] !== undefined;
      at = end + 2 + close[0].length;
      continue;
    }
    const { tokens, end, trim } = lexAction(source, inside, line, lineStart);
    trimNext = trim;
    pieces.push({ kind: "action", tokens, line, column: open - lineStart });
    at = end;
  }
}

const number =
  /^[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/;

function lexAction(source: string, start: number, line: number, lineStart: number) {
  const tokens: Token[] = [];
  let at = start;
  let depth = 0;
  for (;;) {
    const spaces = /^[ \t\r\n]*/.exec(source.slice(at))?.[0].length ?? 0;
    const glued = spaces === 0;
    if (spaces > 0 && source.startsWith("-}}", at + spaces))
      return { tokens, end: at + spaces + 3, trim: true };
    at += spaces;
    const rest = source.slice(at);
    if (rest.startsWith("}}")) {
      if (depth > 0) throw fail(line, "unclosed left paren");
      return { tokens, end: at + 2, trim: false };
    }
    if (rest === "") throw fail(line, "unclosed action");
    const column = at - lineStart;
    const push = (kind: Token["kind"], text: string, value?: string | number) => {
      tokens.push(value === undefined ? { kind, text, glued, column } : { kind, text, value, glued, column });
      at += text.length;
    };
    const found = (pattern: RegExp) => pattern.exec(rest)?.[0];
    const required = (pattern: RegExp, complaint: string): string => {
      const text = found(pattern);
      if (text === undefined) throw fail(line, complaint);
      return text;
    };
    const field = found(/^\.[\p{L}_][\p{L}\p{N}_]*/u);
    const digits = field === undefined ? found(number) : undefined;
    const variable = found(/^\$[\p{L}\p{N}_]*/u);
    const word = found(/^[\p{L}_][\p{L}\p{N}_]*/u);
    if (rest[0] === '"') {
      const quoted = required(/^"(?:[^"\\\n]|\\.)*"/, "unterminated quoted string");
      push("string", quoted, unquote(quoted, line));
    } else if (rest[0] === "`") {
      const raw = required(/^`[^`]*`/, "unterminated raw quoted string");
      push("string", raw, raw.slice(1, -1));
    } else if (rest[0] === "'") {
      const char = required(/^'(?:[^'\\\n]|\\.[^']*)'/, "unterminated character constant");
      push("char", char, unquote(`"${char.slice(1, -1).replace('"', '\\"')}"`, line).codePointAt(0) ?? 0);
    } else if (field !== undefined) push("field", field);
    else if (digits !== undefined) push("number", digits, Number(digits.replaceAll("_", "")));
    else if (rest[0] === ".") push("dot", ".");
    else if (variable !== undefined) push("variable", variable);
    else if (word !== undefined) push("word", word);
    else if (rest.startsWith(":=")) push("symbol", ":=");
    else if (/^[|(),=]/.test(rest)) {
      if (rest[0] === "(") depth++;
      if (rest[0] === ")" && --depth < 0) throw fail(line, "unexpected right paren");
      push("symbol", rest[0] ?? "");
    } else throw fail(line, `unexpected ${JSON.stringify(rest[0])} in operand`);
  }
}

/** Go's string escapes. */
function unquote(quoted: string, line: number): string {
  const simple: Readonly<Record<string, string>> = {
    n: "\n",
    t: "\t",
    r: "\r",
    a: "\x07",
    b: "\b",
    f: "\f",
    v: "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
  };
  return quoted
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/g, (whole, code: string) => {
      if (/^[xuU]./.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
      const char = simple[code];
      if (char === undefined) throw fail(line, `invalid syntax in ${whole}`);
      return char;
    });
}
