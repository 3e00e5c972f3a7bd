import { cleanPath } from "../../../base/spec/dockerfile/ignore.ts";
import { compilePathPattern } from "../../../base/spec/dockerfile/match.ts";
import { lchownat, symlinkat } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import { removeTreeAt } from "../../../base/sys/remove-tree.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { tryLstatat } from "../../../base/sys/stat.ts";
import type { CopyAction, FileAction } from "../../graph.ts";
import { stamp } from "./copy/copier.ts";
import type { Destination } from "./copy/dest.ts";
import { CopyRefused } from "./copy/nodes.ts";
import { lookupOwner } from "./copy/owner.ts";
import { type Selected, SourceMissing, selectSources } from "./selection/select.ts";
import { RootReader, type TreeReader } from "./selection/tree-reader.ts";

/** What LLB's file operations do beyond a Dockerfile's (solver/llbsolver/file of BuildKit). */

/** A link where nothing is; the directories above it are made. */
export function symlinkAction(
  dest: Destination,
  { path: asked, target, owner: who }: FileAction & { readonly kind: "symlink" },
): void {
  const owner = lookupOwner(dest.root, who);
  const path = unfollowed(dest, asked);
  const slash = path.lastIndexOf("/");
  dest.makeDirectories(slash < 0 ? "" : path.slice(0, slash), 0o755, owner);
  dest.parent(path, (dir, name) => {
    if (tryLstatat(dir, name)) throw new CopyRefused(`symlink ${target} /${path}: file exists`);
    symlinkat(target, dir, name);
    if (owner) lchownat(dir, name, owner.uid, owner.gid);
    stamp(dir, name, dest.time);
  });
}

export function removeAction(
  dest: Destination,
  { path, wildcard, optional }: FileAction & { readonly kind: "remove" },
): void {
  const paths = wildcard ? matching(dest.root, path) : [unfollowed(dest, path)];
  if (paths.length === 0 && !optional) throw new CopyRefused(`${path}: no such file or directory`);
  for (const one of paths) {
    if (one === "") throw new CopyRefused("the root itself cannot be removed");
    try {
      dest.parent(one, (dir, name) => {
        if (tryLstatat(dir, name)) removeTreeAt(dir, name);
        else if (!optional) throw new CopyRefused(`remove /${one}: no such file or directory`);
      });
    } catch (error) {
      if (!(optional && error instanceof SystemError && ["ENOENT", "ENOTDIR"].includes(error.code)))
        throw error;
    }
  }
}

/** Links on the way are followed inside the root, one at the end is what is meant. */
function unfollowed(dest: Destination, path: string): string {
  const clean = cleanPath(`/${path}`);
  const slash = clean.lastIndexOf("/");
  const above = dest.resolve(clean.slice(0, slash));
  const name = clean.slice(slash + 1);
  return above === "" ? name : `${above}/${name}`;
}

/** What a pattern matches, without following links at its end. */
function matching(root: RootedDir, path: string): readonly string[] {
  using reader = new RootReader(root);
  return [...patternMatches(reader, cleanPath(`/${path}`).slice(1))];
}

function* patternMatches(tree: TreeReader, pattern: string): Generator<string> {
  const { base, components } = compilePathPattern(pattern);
  if (components.length === 0) {
    if (tree.lstat(base)) yield base;
    return;
  }
  const walk = function* (above: string, rest: typeof components): Generator<string> {
    const [test, ...more] = rest;
    for (const name of tree.names(above)) {
      if (!test?.(name)) continue;
      const path = above === "" ? name : `${above}/${name}`;
      if (more.length === 0) yield path;
      else if (tree.lstat(path)?.kind === "directory") yield* walk(path, more);
    }
  };
  if (base === "" || tree.lstat(base)?.kind === "directory") yield* walk(base, components);
}

/** What a source of a copy names, as the copy wants it: links themselves, nothing at all. */
export function selectedBy(tree: TreeReader, action: CopyAction, source: string): readonly Selected[] {
  const selected = action.asLink
    ? [...unfollowedSources(tree, action, source)]
    : [...selectSources(tree, { ...action, sources: [source] })];
  if (selected.length === 0 && action.mustMatch) throw new SourceMissing(`/${source.replace(/^\/+/, "")}`);
  return selected;
}

function* unfollowedSources(tree: TreeReader, action: CopyAction, source: string): Generator<Selected> {
  const clean = cleanPath(`/${source}`).slice(1);
  for (const path of action.wildcard ? patternMatches(tree, clean) : [clean]) {
    const slash = path.lastIndexOf("/");
    const above = slash < 0 ? "" : path.slice(0, slash);
    const name = path.slice(slash + 1);
    // Links on the way are followed as ever.
    const [directory] =
      above === "" ? [{ path: "" }] : [...selectSources(tree, { ...plain, sources: [above] })];
    const found = [directory?.path ?? "", name].filter((part) => part !== "").join("/");
    const kind = tree.lstat(found)?.kind;
    if (!kind) throw new SourceMissing(`/${path}`);
    yield { path: found, named: path, kind, below: undefined };
  }
}

const plain = { wildcard: false, exclude: [], parents: false } as const;

/**
 * Where a directory that is copied itself goes: below a directory that is there already, by its own name; else it is what was asked for, and
 * made with the source's metadata.
 */
export function wholeDirectory(
  dest: Destination,
  selected: Selected,
  asked: string,
): { readonly selected: Selected; readonly dest: string } {
  const into = dest.resolve(asked);
  const there = dest.root.tryStat(`/${into}`)?.kind === "directory";
  const name = selected.named.slice(selected.named.lastIndexOf("/") + 1);
  if (there && name !== "") return { selected: { ...selected, below: name }, dest: asked };
  return { selected, dest: asked };
}

/** Takes away what stands where a copy puts something of another kind. */
export function clearTheWay(source: RootedDir, selected: Selected, dest: Destination, asked: string): void {
  using tree = new RootReader(source);
  using target = new RootReader(dest.root);
  const base = dest.resolve(asked);
  const there = target.lstat(base);
  const name = selected.named.slice(selected.named.lastIndexOf("/") + 1);
  const below = selected.below ?? (selected.kind !== "directory" && there?.kind === "directory" ? name : "");
  const clear = (from: string, to: string): void => {
    const [before, now] = [tree.lstat(from)?.kind, to === "" ? "directory" : target.lstat(to)?.kind];
    if (!before || !now) return;
    if (before === "directory" && now === "directory") {
      for (const entry of tree.names(from)) clear(join(from, entry), join(to, entry));
    } else if (before === "directory" || now === "directory") {
      dest.parent(to, (dir, last) => removeTreeAt(dir, last));
      target[Symbol.dispose]();
    }
  };
  clear(selected.path, join(base, below));
}

const join = (above: string, name: string): string =>
  above === "" ? name : name === "" ? above : `${above}/${name}`;
