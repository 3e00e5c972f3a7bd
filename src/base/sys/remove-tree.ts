import { basename, dirname } from "node:path";
import { AT_FDCWD, closeFd, O, openat, openat2, RESOLVE, renameat, rmdirat, unlinkat } from "./at.ts";
import { SystemError } from "./libc.ts";
import { type FileKind, readDirectory } from "./stat.ts";

/** Deeper directories are first moved up, so that depth costs neither descriptors nor stack. */
const depthLimit = 32;
/** How often a tree is gone through anew because somebody put something into it meanwhile. */
const rounds = 8;

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

/**
 * The same for a directory's path; nothing there is what was wanted. Several may remove one tree, or parts of it, at once and each
 * returns with its tree gone: `fs.rm` with `force` takes an entry that somebody else removed under it for its whole work done.
 */
export async function removeDirectory(path: string): Promise<void> {
  let parent: number;
  try {
    parent = openat(AT_FDCWD, dirname(path), O.PATH | O.DIRECTORY);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  try {
    await removeTree(parent, basename(path));
  } catch (error) {
    if (!isGone(error)) throw error;
  } finally {
    closeFd(parent);
  }
}

function* removal(dir: number, name: string): Generator<void, void, undefined> {
  for (let round = 1; ; round++) {
    try {
      return yield* removalRound(dir, name);
    } catch (error) {
      if (round > 1 && isGone(error)) return;
      if (round === rounds || !(error instanceof SystemError && error.code === "ENOTEMPTY")) throw error;
    }
  }
}

function* removalRound(dir: number, name: string): Generator<void, void, undefined> {
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
        unlessGone(() => renameat(parent, entry, top, `.deep-${moved++}-${stamp}`));
        return;
      }
      const fd = unlessGone(() => openBelow(parent, entry));
      if (fd === undefined) return;
      try {
        for (const inner of entriesOf(fd)) yield* remove(fd, inner.name, inner.kind, depth + 1);
      } finally {
        closeFd(fd);
      }
      unlessGone(() => rmdirat(parent, entry));
    };
    for (let entries = entriesOf(top); entries.length > 0; entries = rereadDirectory(dir, name)) {
      for (const entry of entries) yield* remove(top, entry.name, entry.kind, 1);
      if (moved === 0) break;
    }
  } finally {
    closeFd(top);
  }
  unlessGone(() => rmdirat(dir, name));
}

function rereadDirectory(dir: number, name: string) {
  const fd = unlessGone(() => openBelow(dir, name));
  if (fd === undefined) return [];
  try {
    return entriesOf(fd);
  } finally {
    closeFd(fd);
  }
}

/** Reading a directory that was removed meanwhile is ENOENT too (getdents(2)). */
function entriesOf(fd: number) {
  return unlessGone(() => readDirectory(fd)) ?? [];
}

function isGone(error: unknown): boolean {
  return error instanceof SystemError && error.code === "ENOENT";
}

function unlessGone<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
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
    if (isGone(error) && kind !== "unknown") return true;
    throw error;
  }
}
