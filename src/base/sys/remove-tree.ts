import { closeFd, O, openat2, RESOLVE, renameat, rmdirat, unlinkat } from "./at.ts";
import { SystemError } from "./libc.ts";
import { type FileKind, readDirectory } from "./stat.ts";

/** Deeper directories are first moved up, so that depth costs neither descriptors nor stack. */
const depthLimit = 32;

/**
 * Removes `name` below `dir` and everything in it, following nothing and crossing no mount (EXDEV). ENOENT when it is not
 * there; names that vanish meanwhile are fine.
 */
export function removeTreeAt(dir: number, name: string): void {
  for (const _step of removal(dir, name));
}

/** The same in slices of a few milliseconds, for the daemon's loop. */
export async function removeTree(dir: number, name: string): Promise<void> {
  let since = performance.now();
  for (const _step of removal(dir, name)) {
    if (performance.now() - since < 4) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    since = performance.now();
  }
}

function* removal(dir: number, name: string): Generator<void, void, undefined> {
  if (removedAsFile(dir, name, "unknown")) return;
  const top = openBelow(dir, name);
  try {
    let moved = 0;
    const stamp = Bun.nanoseconds().toString(36);
    /** Removes one entry; a directory too deep is renamed into the top one, whose next reading finds it. */
    const remove = function* (
      parent: number,
      entry: string,
      kind: FileKind,
      depth: number,
    ): Generator<void, void, undefined> {
      yield;
      if (removedAsFile(parent, entry, kind)) return;
      if (depth >= depthLimit) {
        renameat(parent, entry, top, `.deep-${moved++}-${stamp}`);
        return;
      }
      const fd = openBelow(parent, entry);
      try {
        for (const inner of readDirectory(fd)) yield* remove(fd, inner.name, inner.kind, depth + 1);
      } finally {
        closeFd(fd);
      }
      rmdirat(parent, entry);
    };
    for (let entries = readDirectory(top); entries.length > 0; entries = rereadDirectory(dir, name)) {
      for (const entry of entries) yield* remove(top, entry.name, entry.kind, 1);
      if (moved === 0) break;
    }
  } finally {
    closeFd(top);
  }
  rmdirat(dir, name);
}

function rereadDirectory(dir: number, name: string) {
  const fd = openBelow(dir, name);
  try {
    return readDirectory(fd);
  } finally {
    closeFd(fd);
  }
}

function openBelow(dir: number, name: string): number {
  const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_XDEV;
  return openat2(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve);
}

/** False for a directory. */
function removedAsFile(dir: number, name: string, kind: FileKind): boolean {
  if (kind === "directory") return false;
  try {
    unlinkat(dir, name);
    return true;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "EISDIR") return false;
    if (error.code === "ENOENT" && kind !== "unknown") return true;
    throw error;
  }
}
