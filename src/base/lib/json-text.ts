import { invalid } from "./errors.ts";

/** A JSON document that people write by hand, and what is doubtful in it. */
export interface JsonDocument {
  readonly value: unknown;
  /** Members that their object has more than once, as paths ("log-opts.max-size"): the last one counts. */
  readonly repeated: readonly string[];
}

type Expected =
  | "value"
  | "first-element"
  | "first-key"
  | "key"
  | "colon"
  | "member-end"
  | "element-end"
  | "end";

/** What Go's encoding/json says of a character that does not belong there (scanner.go). */
const words: Readonly<Record<Expected, string>> = {
  value: "looking for beginning of value",
  "first-element": "looking for beginning of value",
  "first-key": "looking for beginning of object key string",
  key: "looking for beginning of object key string",
  colon: "after object key",
  "member-end": "after object key:value pair",
  "element-end": "after array element",
  end: "after top-level value",
};

const space = /[ \t\r\n]*/y;
// One class at a time, and nothing to come back to: linear in the text.
const characters = /[^"\\\p{Cc}]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[^"\\\p{Cc}]*)*/uy;
const scalar = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;

/** Reads a document; throws invalid-argument with Go's words and the place where `JSON.parse` tells neither line nor column. */
export function readJsonText(text: string): JsonDocument {
  const scanner = new Scanner(text);
  scanner.run();
  return { value: JSON.parse(text), repeated: [...scanner.repeated] };
}

interface Level {
  /** undefined: it is an array. */
  readonly keys: Set<string> | undefined;
  readonly path: string;
  key: string;
}

/** Goes through the text once, with a stack of its own: depth costs no call. */
class Scanner {
  readonly repeated = new Set<string>();
  readonly #text: string;
  #at = 0;
  #levels: Level[] = [];
  #expected: Expected = "value";

  constructor(text: string) {
    this.#text = text;
  }

  run(): void {
    for (;;) {
      this.#match(space);
      if (this.#at >= this.#text.length) {
        if (this.#expected === "end") return;
        throw this.#fault("unexpected end of JSON input");
      }
      this.#step(this.#text[this.#at] ?? "");
    }
  }

  #step(char: string): void {
    const level = this.#levels.at(-1);
    const expected = this.#expected;
    if (level?.keys && (expected === "key" || expected === "first-key")) {
      if (char === "}" && expected === "first-key") this.#close();
      else if (char === '"') this.#member(level, level.keys);
      else throw this.#unexpected(char);
    } else if (expected === "colon" && char === ":") this.#move("value");
    else if (expected === "member-end" && char === ",") this.#move("key");
    else if (expected === "element-end" && char === ",") this.#move("value");
    else if (expected === "member-end" && char === "}") this.#close();
    else if ((expected === "element-end" || expected === "first-element") && char === "]") this.#close();
    else if (expected === "value" || expected === "first-element") this.#value(char);
    else throw this.#unexpected(char);
  }

  #value(char: string): void {
    if (char === "{" || char === "[") {
      const above = this.#levels.at(-1);
      const path = above?.keys ? pathOf(above, above.key) : (above?.path ?? "");
      this.#levels.push({ keys: char === "{" ? new Set() : undefined, path, key: "" });
      this.#move(char === "{" ? "first-key" : "first-element");
    } else {
      if (char === '"') this.#string();
      else if (!this.#match(scalar)) throw this.#unexpected(char);
      this.#expected = this.#afterValue();
    }
  }

  #member(level: Level, keys: Set<string>): void {
    level.key = JSON.parse(this.#string()) as string;
    if (keys.has(level.key)) this.repeated.add(pathOf(level, level.key));
    keys.add(level.key);
    this.#expected = "colon";
  }

  #string(): string {
    const start = this.#at++;
    this.#match(characters);
    // DEL and the upper control characters are no fault.
    while (this.#text.charCodeAt(this.#at) >= 0x7f) {
      this.#at++;
      this.#match(characters);
    }
    const char = this.#text[this.#at];
    if (char === undefined) throw this.#fault("unexpected end of JSON input");
    if (char === "\\") {
      this.#at++;
      throw this.#unexpected(this.#text[this.#at] ?? "", "in string escape code");
    }
    if (char !== '"') throw this.#unexpected(char, "in string literal");
    this.#at++;
    return this.#text.slice(start, this.#at);
  }

  #close(): void {
    this.#levels.pop();
    this.#move(this.#afterValue());
  }

  #afterValue(): Expected {
    const level = this.#levels.at(-1);
    if (!level) return "end";
    return level.keys ? "member-end" : "element-end";
  }

  #move(next: Expected): void {
    this.#at++;
    this.#expected = next;
  }

  #match(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) return false;
    this.#at = pattern.lastIndex;
    return true;
  }

  #unexpected(char: string, where = words[this.#expected]): Error {
    const shown = /\p{Cc}/u.test(char) ? JSON.stringify(char).slice(1, -1) : char;
    return this.#fault(`invalid character '${shown}' ${where}`);
  }

  #fault(reason: string): Error {
    const before = this.#text.slice(0, this.#at).split("\n");
    return invalid(`${reason} (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`);
  }
}

const pathOf = (level: Level, key: string): string => (level.path === "" ? key : `${level.path}.${key}`);
