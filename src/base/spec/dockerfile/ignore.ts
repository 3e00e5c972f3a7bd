import { invalid } from "../../lib/errors.ts";
import { Glob } from "./glob.ts";

/**
 * `.dockerignore`: its patterns in order, comments and blanks gone, paths clean and without a slash at the front (Dockerfile reference,
 * ".dockerignore file"; moby/patternmatcher/ignorefile).
 */
export function readIgnoreFile(text: string): readonly string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\ufeff/, "").split("\n")) {
    if (line.startsWith("#")) continue;
    const trimmed = line.trim();
    if (trimmed === "") continue;
    const exception = trimmed.startsWith("!");
    const path = exception ? trimmed.slice(1).trim() : trimmed;
    const clean = path === "" ? "" : cleanPath(path).replace(/^\/(?=.)/s, "");
    patterns.push(exception ? `!${clean}` : clean);
  }
  return patterns;
}

/** Go's `filepath.Clean`: "." and ".." resolved as text, one slash between, none at the end. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") out.push(part);
    else if (out.length > 0 && out.at(-1) !== "..") out.pop();
    else if (!rooted) out.push("..");
  }
  return rooted ? `/${out.join("/")}` : out.join("/") || ".";
}

/** Which patterns of a list matched a directory: what its entries are judged with. */
export type ParentMatches = readonly boolean[];

/**
 * Patterns as `.dockerignore`, `COPY --exclude` and a transfer's include list have them: later ones win, "!" takes out again, and what matches a
 * directory matches everything below it (moby/patternmatcher). Paths are relative, with "/" between.
 */
export class PatternList {
  readonly #patterns: readonly { readonly glob: Glob; readonly exception: boolean }[];
  /** Some pattern begins with "!": a matched directory may hold something that is not. */
  readonly hasExceptions: boolean;

  /** Throws invalid-argument for a pattern that is none. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.flatMap((raw) => {
      const trimmed = raw.trim();
      if (trimmed === "") return [];
      const clean = cleanPath(trimmed);
      if (clean === "!") throw invalid('illegal exclusion pattern: "!"');
      const exception = clean.startsWith("!");
      return [{ glob: new Glob(exception ? clean.slice(1) : clean, "deep"), exception }];
    });
    this.hasExceptions = this.#patterns.some((pattern) => pattern.exception);
  }

  get empty(): boolean {
    return this.#patterns.length === 0;
  }

  /** Of a path by itself: its parents are looked at too. */
  matches(path: string): boolean {
    let matched = false;
    for (const { glob, exception } of this.#patterns) {
      if (exception !== matched) continue;
      if (glob.matchesAtOrAbove(path)) matched = !exception;
    }
    return matched;
  }

  /** While walking: `parent` is what the directory's own call gave (undefined at the top). */
  matchBelow(
    path: string,
    parent: ParentMatches | undefined,
  ): { readonly matched: boolean; readonly below: ParentMatches } {
    let matched = false;
    const below = this.#patterns.map(({ glob, exception }, index) => {
      const hit =
        parent?.[index] === true ||
        (exception === matched && (parent ? glob.matches(path) : glob.matchesAtOrAbove(path)));
      if (hit) matched = !exception;
      return hit;
    });
    return { matched, below };
  }

  /** Whether a matched directory must be walked nevertheless, because an exception may match below it. */
  mayExceptBelow(directory: string): boolean {
    return this.#patterns.some(({ glob, exception }) => exception && glob.canMatchFrom(`${directory}/`));
  }

  /** Whether a directory that is not matched may hold something that is (an include list's question). */
  mayMatchBelow(directory: string): boolean {
    return this.#patterns.some(({ glob, exception }) => !exception && glob.canMatchFrom(`${directory}/`));
  }
}
