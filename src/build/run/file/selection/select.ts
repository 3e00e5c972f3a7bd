import { cleanPath, type ParentMatches, PatternList } from "../../../../base/spec/dockerfile/ignore.ts";
import { compilePathPattern, hasWildcard, unescapePattern } from "../../../../base/spec/dockerfile/match.ts";
import type { FileKind } from "../../../../base/sys/stat.ts";
import type { Selection } from "../protocol.ts";
import { resolvePath, type TreeReader } from "./tree-reader.ts";

/** One node that a source of a copy names. */
export interface Selected {
  /** Where it lies in its tree, without links: what a link named is what is copied. "" is the root itself. */
  readonly path: string;
  /** As the source names it: its last component is the name of the copy. */
  readonly named: string;
  readonly kind: FileKind;
  /** With --parents: path below the pivot, whose directories are made too. */
  readonly below: string | undefined;
}

/** A source without wildcards that is not there. */
export class SourceMissing extends Error {
  override readonly name = "SourceMissing";
  readonly path: string;
  constructor(path: string) {
    super(`lstat ${path}: no such file or directory`);
    this.path = path;
  }
}

/** What the sources of a copy name in a tree, source by source. Throws SourceMissing; a pattern that matches nothing is nothing. */
export function* selectSources(tree: TreeReader, selection: Selection): Generator<Selected, void, undefined> {
  for (const source of selection.sources) {
    if (selection.parents) yield* selectWithParents(tree, source, selection.wildcard);
    else yield* selectSource(tree, source, selection);
  }
}

function* selectSource(tree: TreeReader, source: string, selection: Selection): Generator<Selected> {
  const clean = cleanPath(`/${source}`).slice(1);
  const pattern = selection.wildcard ? compilePathPattern(clean) : { base: clean, components: [] };
  if (pattern.components.length === 0) {
    // BuildKit takes no backslash off where there is no wildcard (fsutil, ResolveWildcards): systemd's units have them in their names.
    const literal = clean !== pattern.base && resolvePath(tree, clean) !== undefined;
    yield existing(tree, literal ? clean : pattern.base);
    return;
  }
  const base = existing(tree, pattern.base);
  const excluded = new PatternList(selection.exclude);
  for (const path of matchesBelow(tree, base.path, pattern.components)) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (!excluded.empty && (excluded.matches(name) || excluded.matches(path))) continue;
    yield existing(tree, path);
  }
}

function existing(tree: TreeReader, path: string): Selected {
  const found = resolvePath(tree, path);
  const kind = found === undefined ? undefined : tree.lstat(found)?.kind;
  if (found === undefined || !kind) throw new SourceMissing(`/${path}`);
  return { path: found, named: path, kind, below: undefined };
}

/** Paths whose components match, in a fixed order; links on the way are not followed (Go's filepath.Walk). */
function* matchesBelow(
  tree: TreeReader,
  base: string,
  components: readonly ((name: string) => boolean)[],
): Generator<string> {
  const [test, ...rest] = components;
  if (!test) return;
  for (const name of tree.names(base)) {
    if (!test(name)) continue;
    const path = base === "" ? name : `${base}/${name}`;
    if (rest.length === 0) yield path;
    else if (tree.lstat(path)?.kind === "directory") yield* matchesBelow(tree, path, rest);
  }
}

/** `--parents`: a source is a pattern ("**" included) below its pivot ("/./"), the root when it has none. */
function* selectWithParents(tree: TreeReader, source: string, wildcard: boolean): Generator<Selected> {
  const pivot = source.indexOf("/./");
  const top = cleanPath(`/${pivot < 0 ? "" : source.slice(0, pivot)}`).slice(1);
  const pattern = cleanPath(`/${pivot < 0 ? source : source.slice(pivot + 3)}`).slice(1);
  const base = existing(tree, top).path;
  const at = (below: string) => [base, below].filter((part) => part !== "").join("/");
  const selected = (below: string, kind: FileKind): Selected => ({
    path: at(below),
    named: at(below),
    kind,
    below,
  });
  if (!wildcard || !hasWildcard(pattern)) {
    const path = wildcard ? unescapePattern(pattern) : pattern;
    const found = tree.lstat(at(path));
    if (!found) throw new SourceMissing(`/${at(path)}`);
    yield selected(path, found.kind);
    return;
  }
  const list = new PatternList([pattern]);
  const walk = function* (directory: string, parent: ParentMatches | undefined): Generator<Selected> {
    for (const name of tree.names(at(directory))) {
      const below = directory === "" ? name : `${directory}/${name}`;
      const { matched, below: matches } = list.matchBelow(below, parent);
      if (!matched && !list.mayMatchBelow(below)) continue;
      const kind = tree.lstat(at(below))?.kind;
      if (kind === undefined) continue;
      if (matched) yield selected(below, kind);
      else if (kind === "directory") yield* walk(below, matches);
    }
  };
  yield* walk("", undefined);
}

/** `--exclude` while a source is walked: paths are relative to what was named, or to the pivot. */
export class Excluded {
  readonly #list: PatternList | undefined;

  constructor(patterns: readonly string[]) {
    this.#list = patterns.length === 0 ? undefined : new PatternList(patterns);
  }

  /** Whether an entry is left out, and what its own entries are judged with. */
  judge(
    path: string,
    directory: boolean,
    parent: ParentMatches | undefined,
  ): { readonly leave: boolean; readonly below: ParentMatches | undefined } {
    if (!this.#list) return { leave: false, below: undefined };
    const { matched, below } = this.#list.matchBelow(path, parent);
    const kept = directory && this.#list.hasExceptions && this.#list.mayExceptBelow(path);
    return { leave: matched && !kept, below };
  }
}
