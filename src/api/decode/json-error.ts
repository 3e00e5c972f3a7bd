/**
 * What Go's encoding/json would say about a text that JSON.parse refused; clients and their tests read these messages.
 * `text` is known to be malformed, or to have more than one value.
 */
export function jsonSyntaxError(text: string): string {
  const scanner = new Scanner(text);
  const problem = scanner.value();
  if (problem !== undefined) return `invalid JSON: ${problem}`;
  return "unexpected content after JSON";
}

const eof = "unexpected EOF";

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The problem of the value that starts here; undefined when it is whole. */
  value(context = "looking for beginning of value", depth = 0): string | undefined {
    this.#space();
    const c = this.#text[this.#at];
    if (c === undefined) return eof;
    if (depth > 10_000) return "exceeded max depth";
    if (c === "{") return this.#object(depth);
    if (c === "[") return this.#array(depth);
    if (c === '"') return this.#string();
    if (c === "-" || (c >= "0" && c <= "9")) return this.#number();
    for (const word of ["true", "false", "null"]) if (c === word[0]) return this.#word(word);
    return this.#invalid(context);
  }

  #object(depth: number): string | undefined {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === "}") return this.#take();
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === undefined) return eof;
      if (this.#text[this.#at] !== '"') return this.#invalid("looking for beginning of object key string");
      const key = this.#string();
      if (key !== undefined) return key;
      this.#space();
      if (this.#text[this.#at] === undefined) return eof;
      if (this.#text[this.#at] !== ":") return this.#invalid("after object key");
      this.#at++;
      const value = this.value(undefined, depth + 1);
      if (value !== undefined) return value;
      this.#space();
      const c = this.#text[this.#at];
      if (c === undefined) return eof;
      if (c === "}") return this.#take();
      if (c !== ",") return this.#invalid("after object key:value pair");
      this.#at++;
    }
  }

  #array(depth: number): string | undefined {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === "]") return this.#take();
    for (;;) {
      const value = this.value(undefined, depth + 1);
      if (value !== undefined) return value;
      this.#space();
      const c = this.#text[this.#at];
      if (c === undefined) return eof;
      if (c === "]") return this.#take();
      if (c !== ",") return this.#invalid("after array element");
      this.#at++;
    }
  }

  #string(): string | undefined {
    this.#at++;
    for (;;) {
      const c = this.#text[this.#at];
      if (c === undefined) return eof;
      if (c === '"') return this.#take();
      if (c < " ") return this.#invalid("in string literal");
      this.#at++;
      if (c !== "\\") continue;
      const escaped = this.#text[this.#at];
      if (escaped === undefined) return eof;
      if (!'bfnrt\\/"u'.includes(escaped)) return this.#invalid("in string escape code");
      this.#at++;
      for (let i = 0; escaped === "u" && i < 4; i++, this.#at++) {
        const digit = this.#text[this.#at];
        if (digit === undefined) return eof;
        if (!/[0-9a-fA-F]/.test(digit)) return this.#invalid("in \\u hexadecimal character escape");
      }
    }
  }

  #number(): string | undefined {
    if (this.#text[this.#at] === "-") this.#at++;
    if (this.#text[this.#at] === "0") this.#at++;
    else if (!this.#digits()) return this.#digitMissing("in numeric literal");
    if (this.#text[this.#at] === ".") {
      this.#at++;
      if (!this.#digits()) return this.#digitMissing("after decimal point in numeric literal");
    }
    if (/[eE]/.test(this.#text[this.#at] ?? "")) {
      this.#at++;
      if (/[+-]/.test(this.#text[this.#at] ?? "")) this.#at++;
      if (!this.#digits()) return this.#digitMissing("in exponent of numeric literal");
    }
    return undefined;
  }

  #digits(): boolean {
    const start = this.#at;
    while (/[0-9]/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#at > start;
  }

  #digitMissing(where: string): string {
    return this.#text[this.#at] === undefined ? eof : this.#invalid(where);
  }

  #word(word: string): string | undefined {
    for (const [i, expected] of [...word].entries()) {
      const c = this.#text[this.#at];
      if (c === undefined) return eof;
      if (c !== expected)
        return this.#invalid(
          i === 0 ? "looking for beginning of value" : `in literal ${word} (expecting '${expected}')`,
        );
      this.#at++;
    }
    return undefined;
  }

  #take(): undefined {
    this.#at++;
    return undefined;
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #invalid(context: string): string {
    const c = this.#text.codePointAt(this.#at) ?? 0;
    const shown =
      c === 0x27
        ? "'\\''"
        : c === 0x22
          ? "'\"'"
          : c < 0x20
            ? (controls[c] ?? `'\\x${c.toString(16).padStart(2, "0")}'`)
            : `'${String.fromCodePoint(c)}'`;
    return `invalid character ${shown} ${context}`;
  }
}

const controls: Readonly<Record<number, string>> = { 9: "'\\t'", 10: "'\\n'", 13: "'\\r'" };
