import { SystemError } from "./libc.ts";

/** As Linux has it for one path; Go's filepath.EvalSymlinks gives up here as well. */
const linkLimit = 255;

/**
 * Where a path leads when its links are followed inside a tree, as components below its root. `targetOf` is asked of each component on
 * the way (a path without links and slash in front): the target of a link, undefined for what is none, or null, which ends the walk:
 * the path leads nowhere. ".." at the root stays there. Throws ELOOP.
 */
export function followLinks(
  path: string,
  targetOf: (at: string) => string | undefined | null,
): readonly string[] | undefined {
  const done: string[] = [];
  const pending = path.split("/").reverse();
  let links = 0;
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      done.pop();
      continue;
    }
    const target = targetOf([...done, part].join("/"));
    if (target === null) return undefined;
    if (target === undefined) {
      done.push(part);
      continue;
    }
    if (++links > linkLimit) throw new SystemError(40, "readlink", path);
    if (target.startsWith("/")) done.length = 0;
    pending.push(...target.split("/").reverse());
  }
  return done;
}
