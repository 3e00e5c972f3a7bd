import { invalid } from "../../lib/errors.ts";

/** Go's `filepath.Match` (COPY's sources), or that with `**` as well (`.dockerignore`, --exclude, --parents). */
export type GlobDialect = "match" | "deep";

/**
 * A path pattern, matched in time proportional to pattern times path whatever they hold: a set of positions is moved along the
 * path and nothing backtracks.
 */
export class Glob {
  readonly pattern: string;
  /** Set when there are no wildcards: the only path that matches. */
  readonly literal: string | undefined;
  readonly #tokens: readonly Token[];
  readonly #seen: Uint32Array;
  #round = 0;
  #now: number[] = [];
  #next: number[] = [];

  /** Throws invalid-argument (Go's "syntax error in pattern") for an open bracket or a backslash at the end. */
  constructor(pattern: string, dialect: GlobDialect) {
    this.pattern = pattern;
    this.#tokens = joinRuns(tokenize(pattern, dialect));
    this.literal = literalOf(this.#tokens);
    this.#seen = new Uint32Array(this.#tokens.length + 1);
  }

  /** Whether the whole path matches. */
  matches(path: string): boolean {
    if (this.literal !== undefined) return path === this.literal;
    return this.#run(path) && this.#now.includes(this.#tokens.length);
  }

  /** Whether the path or a directory above it matches. */
  matchesAtOrAbove(path: string): boolean {
    if (this.literal !== undefined) return path === this.literal || path.startsWith(`${this.literal}/`);
    return this.#run(path, true) && this.#now.includes(this.#tokens.length);
  }

  /** Whether a path that begins with `prefix` could match ("dir/": something below dir). */
  canMatchFrom(prefix: string): boolean {
    if (this.literal !== undefined) return this.literal.startsWith(prefix);
    return this.#run(prefix);
  }

  /** Leaves the positions reached by `text`, or by a directory above it, in #now; false when there are none. */
  #run(text: string, orAbove = false): boolean {
    this.#now.length = 0;
    this.#beginRound();
    this.#reach(0, this.#now);
    for (let i = 0; i < text.length; ) {
      const code = text.codePointAt(i) ?? 0;
      if (orAbove && code === slash && i > 0 && this.#now.includes(this.#tokens.length)) return true;
      i += code > 0xffff ? 2 : 1;
      this.#next.length = 0;
      this.#beginRound();
      for (const at of this.#now) this.#step(at, code);
      [this.#now, this.#next] = [this.#next, this.#now];
      if (this.#now.length === 0) return false;
    }
    return true;
  }

  #beginRound(): void {
    this.#round++;
    if (this.#round <= 0xffff_ffff) return;
    this.#round = 1;
    this.#seen.fill(0);
  }

  #mark(at: number, into: number[]): boolean {
    if (this.#seen[at] === this.#round) return false;
    this.#seen[at] = this.#round;
    into.push(at);
    return true;
  }

  /** Marks a position and those behind it that are reached because a wildcard may match nothing. */
  #reach(from: number, into: number[]): void {
    for (let at = from; this.#mark(at, into); at++) {
      const kind = this.#tokens[at]?.kind;
      if (kind === "deep") this.#mark(++at, into);
      else if (kind !== "star" && kind !== "all") return;
    }
  }

  #step(at: number, code: number): void {
    const token = this.#tokens[at];
    switch (token?.kind) {
      case "one":
        if (token.code === code) this.#reach(at + 1, this.#next);
        return;
      case "any":
        if (code !== slash) this.#reach(at + 1, this.#next);
        return;
      case "class":
        if (token.negated !== token.ranges.some(([low, high]) => low <= code && code <= high))
          this.#reach(at + 1, this.#next);
        return;
      case "star":
        if (code !== slash) this.#reach(at, this.#next);
        return;
      case "all":
        this.#reach(at, this.#next);
        return;
      case "within":
        this.#mark(at, this.#next);
        if (code === slash) this.#reach(at + 1, this.#next);
        return;
      default:
        return; // "deep" takes nothing itself; behind the last token nothing may follow
    }
  }
}

type Token =
  | { readonly kind: "one"; readonly code: number }
  /** `?` */
  | { readonly kind: "any" }
  | {
      readonly kind: "class";
      readonly negated: boolean;
      readonly ranges: readonly (readonly [number, number])[];
    }
  /** `*` */
  | { readonly kind: "star" }
  /** `**` before something else: nothing, or directories up to and with a slash. Its "within" follows it. */
  | { readonly kind: "deep" }
  | { readonly kind: "within" }
  /** `**` at the end. */
  | { readonly kind: "all" };

const slash = 0x2f;
const syntaxError = () => invalid("syntax error in pattern");

function tokenize(pattern: string, dialect: GlobDialect): Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let i = 0; i < chars.length; ) {
    const char = chars[i] ?? "";
    if (char === "*" && dialect === "deep" && chars[i + 1] === "*") {
      const first = i === 0;
      i += 2;
      const whole = chars[i] === "/";
      if (whole) i++;
      // moby/patternmatcher: "**" that ends the pattern takes everything, and so does one before plain text only ("**.go").
      const plain = first && !whole && !/[*?\\[\]]/.test(pattern.slice(2));
      if (i === chars.length || plain) tokens.push({ kind: "all" });
      else tokens.push({ kind: "deep" }, { kind: "within" });
    } else if (char === "*") {
      tokens.push({ kind: "star" });
      i++;
    } else if (char === "?") {
      tokens.push({ kind: "any" });
      i++;
    } else if (char === "[") {
      const [token, end] = readClass(chars, i + 1);
      tokens.push(token);
      i = end;
    } else {
      if (char === "\\" && ++i === chars.length) throw syntaxError();
      tokens.push({ kind: "one", code: (chars[i] ?? "").codePointAt(0) ?? 0 });
      i++;
    }
  }
  return tokens;
}

/** `[^a-z\]]` from behind its bracket; and where it ends. */
function readClass(chars: readonly string[], from: number): [Token, number] {
  const negated = chars[from] === "^";
  let at = negated ? from + 1 : from;
  const one = () => {
    if (chars[at] === "-" || chars[at] === "]") throw syntaxError();
    if (chars[at] === "\\") at++;
    const code = chars[at]?.codePointAt(0);
    if (code === undefined) throw syntaxError();
    at++;
    return code;
  };
  const ranges: [number, number][] = [];
  do {
    const low = one();
    if (chars[at] !== "-") ranges.push([low, low]);
    else {
      at++;
      ranges.push([low, one()]);
    }
  } while (chars[at] !== "]");
  return [{ kind: "class", negated, ranges }, at + 1];
}

/** Neighbouring wildcards become two at most, so that few positions are live at a time however many there are. */
function joinRuns(tokens: readonly Token[]): readonly Token[] {
  const joined: Token[] = [];
  let run: Token["kind"][] = [];
  const flush = () => {
    if (run.length > 0) joined.push(...joinRun(run));
    run = [];
  };
  for (const token of tokens) {
    if (token.kind === "star" || token.kind === "deep" || token.kind === "within" || token.kind === "all") {
      run.push(token.kind);
      continue;
    }
    flush();
    joined.push(token);
  }
  flush();
  return joined;
}

function joinRun(kinds: readonly Token["kind"][]): readonly Token[] {
  const deep = kinds.indexOf("deep");
  // "**" and a "*" somewhere behind it: anything at all.
  if (kinds.includes("all") || (deep >= 0 && kinds.lastIndexOf("star") > deep)) return [{ kind: "all" }];
  return [
    ...(kinds.includes("star") ? [{ kind: "star" } as const] : []),
    ...(deep >= 0 ? ([{ kind: "deep" }, { kind: "within" }] as const) : []),
  ];
}

function literalOf(tokens: readonly Token[]): string | undefined {
  let text = "";
  for (const token of tokens) {
    if (token.kind !== "one") return undefined;
    text += String.fromCodePoint(token.code);
  }
  return text;
}
