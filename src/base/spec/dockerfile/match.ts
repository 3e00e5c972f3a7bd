import { Glob } from "./glob.ts";

/** Whether a source of COPY is a pattern; a backslash takes a wildcard's meaning away. */
export function hasWildcard(path: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/su.test(path);
}

/** Backslashes before characters taken off: the path that a pattern without wildcards means. */
export function unescapePattern(pattern: string): string {
  return pattern.replace(/\\(.)/gsu, "$1");
}

/** A pattern of COPY, component by component, so that only directories that can hold matches are read. */
export interface PathPattern {
  /** Leading components without wildcards, unescaped and joined; "" when the first has one. */
  readonly base: string;
  /** One test for each component below `base`. */
  readonly components: readonly ((name: string) => boolean)[];
}

/**
 * Cuts a clean relative pattern at its slashes: `*` and `?` never reach across one (Go's `filepath.Match`, "**" is no more than "*").
 * Throws invalid-argument "syntax error in pattern".
 */
export function compilePathPattern(pattern: string): PathPattern {
  const parts = pattern.split("/").filter((part) => part !== "");
  const first = parts.findIndex(hasWildcard);
  const plain = first < 0 ? parts : parts.slice(0, first);
  const globs = first < 0 ? [] : parts.slice(first).map((part) => new Glob(part, "match"));
  return {
    base: plain.map(unescapePattern).join("/"),
    components: globs.map((glob) => (name) => glob.matches(name)),
  };
}

/** Whether `path` as a whole matches, as Go's `filepath.Match`. */
export function matchPath(pattern: string, path: string): boolean {
  return new Glob(pattern, "match").matches(path);
}
