import { invalid } from "../../lib/errors.ts";
import { replacePattern, trimPrefix, trimSuffix } from "./substitute.ts";
import type { EscapeToken } from "./syntax.ts";

/** Names and values that `$NAME` is looked up in. */
export type Variables = ReadonlyMap<string, string>;

export interface ExpandOptions {
  readonly escape?: EscapeToken;
  /** Quotes stay where they are. */
  readonly rawQuotes?: boolean;
  /** Escapes stay where they are. */
  readonly rawEscapes?: boolean;
  /** Quotes mean nothing (heredocs). */
  readonly plainQuotes?: boolean;
  /** `$NAME` of what is not set stays as it is. */
  readonly keepUnset?: boolean;
  /** Characters that the result may have at most; more is refused. A few lines of `$A$A$A` would fill any memory. */
  readonly limit?: number;
}

export interface Expansion {
  readonly text: string;
  /** The same cut at blanks that are not quoted. */
  readonly words: readonly string[];
  readonly matched: ReadonlySet<string>;
  readonly unmatched: ReadonlySet<string>;
}

/**
 * Quotes, escapes and variables as BuildKit's shell lexer has them: `$NAME`, `${NAME}` and `${NAME…}` with the modifiers
 * `:-` `:+` `:?` `-` `+` `?` `#` `##` `%` `%%` `/` `//`. Takes time in proportion to text and result.
 * Throws invalid-argument `failed to process "…": …`.
 */
export function expand(source: string, variables: Variables, options: ExpandOptions = {}): Expansion {
  const lexer = new Lexer(source, variables, options);
  try {
    const { text, words } = lexer.read("", options.rawEscapes ?? false, 0);
    return { text, words, matched: lexer.matched, unmatched: lexer.unmatched };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const shown = source.length > 500 ? `${source.slice(0, 500)}…` : source;
    throw invalid(`failed to process ${JSON.stringify(shown)}: ${error.message}`);
  }
}

/** What `unicode.IsSpace` is in Go. */
export function isSpace(char: string): boolean {
  return char !== "\ufeff" && (/^\s$/.test(char) || char === "\u0085");
}

/** What is wrong in the text; `expand` says where. */
class Problem extends Error {}

const deepest = 200;
const defaultLimit = 1 << 20;

class Lexer {
  readonly matched = new Set<string>();
  readonly unmatched = new Set<string>();
  readonly #source: string;
  readonly #variables: Variables;
  readonly #options: ExpandOptions;
  readonly #escape: string;
  #at = 0;
  #made = 0;

  constructor(source: string, variables: Variables, options: ExpandOptions) {
    this.#source = source;
    this.#variables = variables;
    this.#options = options;
    this.#escape = options.escape ?? "\\";
  }

  get #done(): boolean {
    return this.#at >= this.#source.length;
  }

  #peek(): string {
    const code = this.#source.codePointAt(this.#at);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #next(): string {
    const char = this.#peek();
    this.#at += char.length;
    return char;
  }

  /** Up to `stop` ("" is the end) and past it. */
  read(stop: string, rawEscapes: boolean, depth: number): { text: string; words: readonly string[] } {
    if (depth > deepest) throw new Problem(`substitutions are nested deeper than ${deepest}`);
    const out = new Words();
    while (!this.#done) {
      const char = this.#peek();
      if (char === stop) {
        this.#at += char.length;
        return out.end();
      }
      if (char === "$") out.addUnquoted(this.#dollar(depth));
      else if (char === "<") out.add(this.#arrow());
      else if (char === "'" && !this.#options.plainQuotes) out.addQuoted(this.#single());
      else if (char === '"' && !this.#options.plainQuotes) out.addQuoted(this.#double(rawEscapes, depth));
      else if (char === this.#escape) this.#escaped(out, rawEscapes);
      else this.#plain(out, stop);
    }
    if (stop !== "") throw new Problem(`unexpected end of statement while looking for matching ${stop}`);
    return out.end();
  }

  /** Everything up to the next character that means something. */
  #plain(out: Words, stop: string): void {
    const from = this.#at;
    do this.#at++;
    while (!this.#done && !this.#special(this.#source[this.#at] ?? "", stop));
    out.addUnquoted(this.#source.slice(from, this.#at));
  }

  #special(char: string, stop: string): boolean {
    return (
      char === "$" || char === "<" || char === "'" || char === '"' || char === this.#escape || char === stop
    );
  }

  #escaped(out: Words, rawEscapes: boolean): void {
    const token = this.#next();
    if (rawEscapes) out.addQuoted(token);
    if (!this.#done) out.addQuoted(this.#next());
  }

  #single(): string {
    const end = this.#source.indexOf("'", this.#at + 1);
    if (end < 0) throw new Problem("unexpected end of statement while looking for matching single-quote");
    const raw = this.#options.rawQuotes ? 0 : 1;
    const text = this.#source.slice(this.#at + raw, end + 1 - raw);
    this.#at = end + 1;
    return text;
  }

  /** In double quotes the escape stands for itself but before `"`, `$` and itself. */
  #double(rawEscapes: boolean, depth: number): string {
    const quote = this.#options.rawQuotes ? '"' : "";
    let text = quote;
    this.#at++;
    while (!this.#done) {
      const char = this.#peek();
      if (char === '"') {
        this.#at++;
        return text + quote;
      }
      if (char === "$") {
        text += this.#dollar(depth);
        continue;
      }
      this.#at += char.length;
      if (char !== this.#escape) {
        text += char;
        continue;
      }
      if (rawEscapes) text += char;
      const escaped = this.#peek();
      if (escaped === "") continue;
      if (escaped === '"' || escaped === "$" || escaped === this.#escape) text += this.#next();
      else text += char;
    }
    throw new Problem("unexpected end of statement while looking for matching double-quote");
  }

  /** `<<  NAME` of a heredoc is one word. */
  #arrow(): string {
    const match = /<(?:<[\t\r ]*)?/y;
    match.lastIndex = this.#at;
    const text = match.exec(this.#source)?.[0] ?? "<";
    this.#at += text.length;
    return text;
  }

  #dollar(depth: number): string {
    this.#at++;
    if (this.#peek() !== "{") {
      const name = this.#name();
      if (name === "") return "$";
      const value = this.#value(name);
      return this.#counted(value ?? (this.#options.keepUnset ? `$${name}` : ""));
    }
    this.#at++;
    return this.#counted(this.#braces(depth));
  }

  #counted(text: string): string {
    this.#made += text.length;
    const limit = this.#options.limit ?? defaultLimit;
    if (this.#made > limit) throw new Problem(`variables expand to more than ${limit} characters`);
    return text;
  }

  #braces(depth: number): string {
    const first = this.#peek();
    if (first === "") throw new Problem("syntax error: missing '}'");
    if (first === "{" || first === "}" || first === ":") throw new Problem("syntax error: bad substitution");
    const name = this.#name();
    const sign = this.#next();
    if (sign === "}") return this.#value(name) ?? (this.#options.keepUnset ? `\${${name}}` : "");
    if (sign === "") throw new Problem("syntax error: missing '}'");
    if (sign === "/") return this.#replace(name, depth);
    if (!":+-?#%".includes(sign)) throw new Problem(`unsupported modifier (${sign}) in substitution`);
    const modifier = sign === ":" ? sign + this.#next() : sign;
    const operation = modifier.slice(-1);
    const pattern = operation === "#" || operation === "%";
    if (sign === ":" && pattern) throw new Problem(`unsupported modifier (${modifier}) in substitution`);
    const word = this.#inner("}", pattern, depth, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}${modifier}${word}}`;
    const given = value !== undefined && (sign !== ":" || value !== "");
    switch (operation) {
      case "-":
        return given ? (value ?? "") : word;
      case "+":
        return given ? word : "";
      case "?":
        if (given) return value ?? "";
        throw new Problem(
          `${name}: ${word || `is not allowed to be ${value === undefined ? "unset" : "empty"}`}`,
        );
      case "#":
      case "%":
        return this.#trim(operation, word, value ?? "");
      default:
        throw new Problem(`unsupported modifier (${modifier}) in substitution`);
    }
  }

  #trim(operation: "#" | "%", word: string, value: string): string {
    const greedy = word.startsWith(operation);
    const pattern = greedy ? word.slice(1) : word;
    return substituted(pattern, () => (operation === "#" ? trimPrefix : trimSuffix)(value, pattern, greedy));
  }

  #replace(name: string, depth: number): string {
    const all = this.#peek() === "/";
    if (all) this.#at++;
    const pattern = this.#inner("/", true, depth, "syntax error: missing '/' in $" + "{}");
    const replacement = this.#inner("}", true, depth, "syntax error: missing '}'");
    const value = this.#value(name);
    if (value === undefined && this.#options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return substituted(pattern, () =>
      replacePattern(value ?? "", pattern, replacement, all, this.#options.limit ?? defaultLimit),
    );
  }

  /** A part of a substitution; where the whole text ends in it, `missing` says what lacks. */
  #inner(stop: string, rawEscapes: boolean, depth: number, missing: string): string {
    try {
      return this.read(stop, rawEscapes, depth + 1).text;
    } catch (error) {
      if (error instanceof Problem && this.#done && depth < deepest) throw new Problem(missing);
      throw error;
    }
  }

  /** Letters, digits and "_"; digits alone where it begins with one; or one of the shell's special parameters. */
  #name(): string {
    const match = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy;
    match.lastIndex = this.#at;
    const name = match.exec(this.#source)?.[0] ?? "";
    this.#at += name.length;
    return name;
  }

  #value(name: string): string | undefined {
    const value = this.#variables.get(name);
    (value === undefined ? this.unmatched : this.matched).add(name);
    return value;
  }
}

function substituted(pattern: string, work: () => string): string {
  try {
    return work();
  } catch (error) {
    const shown = pattern.length > 100 ? `${pattern.slice(0, 100)}…` : pattern;
    throw new Problem(
      `invalid pattern (${shown}) in substitution: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The text so far, and where its unquoted blanks cut it. */
class Words {
  #text = "";
  #word = "";
  readonly #words: string[] = [];

  /** As it is, and part of a word. */
  addQuoted(text: string): void {
    this.#text += text;
    this.#word += text;
  }

  /** As it is; a heredoc's blanks do not cut. */
  add(text: string): void {
    this.addQuoted(text);
  }

  addUnquoted(text: string): void {
    this.#text += text;
    for (const part of text.split(/([\s\u0085]+)/)) {
      if (part === "") continue;
      if (isSpace(part[0] ?? "")) this.#cut();
      else this.#word += part;
    }
  }

  #cut(): void {
    if (this.#word !== "") this.#words.push(this.#word);
    this.#word = "";
  }

  end(): { text: string; words: readonly string[] } {
    this.#cut();
    return { text: this.#text, words: this.#words };
  }
}
