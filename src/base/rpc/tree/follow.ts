import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join, posix } from "node:path";
import { hasWildcard, matchPath } from "../../spec/dockerfile/match.ts";

/** Links that one look-up may go through before it is given up: a chain that long is a circle. */
const maxFollowed = 100_000;

/**
 * The paths below `root` that `paths` (with wildcards) and the symbolic links on their way lead to, links included, so that a tree with only
 * them is complete. A link that is absolute or leads up stays within `root`. undefined: one leads to `root` itself, so everything is needed.
 */
export function pathsBehindLinks(root: string, paths: readonly string[]): readonly string[] | undefined {
  const found = new Set<string>();
  const waiting = [...paths];
  for (let steps = 0; waiting.length > 0 && steps < maxFollowed; steps++) {
    const path = clean(waiting.pop() ?? "");
    if (path === "") return undefined;
    follow(root, path, found, waiting);
  }
  return withoutNested([...found].sort());
}

/** Goes along one path as far as the first link; what that leads to is pushed on `waiting`. */
function follow(root: string, path: string, found: Set<string>, waiting: string[]): void {
  const parts = path.split("/");
  for (let i = 0; i < parts.length; i++) {
    const current = parts.slice(0, i + 1).join("/");
    const rest = parts.slice(i + 1).join("/");
    const targets = linksAt(root, current);
    if (targets.length === 0 && rest !== "") continue;
    if (found.has(rest === "" ? current : `${current}\0${rest}`)) return;
    found.add(rest === "" ? current : `${current}\0${rest}`);
    for (const target of targets) waiting.push(rest === "" ? target : `${target}/${rest}`);
    return;
  }
}

/** Where the links that `path`'s last component names lead to; none for anything else. */
function linksAt(root: string, path: string): readonly string[] {
  const parent = posix.dirname(path) === "." ? "" : posix.dirname(path);
  const name = posix.basename(path);
  if (!hasWildcard(name)) return linkTarget(root, path);
  return entries(join(root, parent))
    .filter((entry) => matchPath(name, entry))
    .flatMap((entry) => linkTarget(root, parent === "" ? entry : `${parent}/${entry}`));
}

function linkTarget(root: string, path: string): readonly string[] {
  try {
    const full = join(root, path);
    if (!lstatSync(full).isSymbolicLink()) return [];
    const target = readlinkSync(full);
    return [target.startsWith("/") ? target : `${posix.dirname(path)}/${target}`];
  } catch {
    return []; // it is not there: then nothing can be followed, and COPY says so
  }
}

function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // as above
  }
}

/** Relative to the root, which ".." does not leave; "" is the root. */
const clean = (path: string) => posix.join("/", path).slice(1).replace(/\/$/, "");

/** Sorted paths without those that lie below another of them. */
function withoutNested(sorted: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const key of sorted) {
    const path = key.split("\0")[0] ?? "";
    const last = kept.at(-1);
    if (last !== undefined && (path === last || path.startsWith(`${last}/`))) continue;
    kept.push(path);
  }
  return kept;
}
