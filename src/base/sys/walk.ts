import { closeFd, O, openat, openat2, RESOLVE } from "./at.ts";
import { SystemError } from "./libc.ts";
import { type FileStat, lstatat, readDirectory } from "./stat.ts";

/** One node of a walk. `dir` is valid until the walk goes on. */
export interface WalkEntry {
  /** Descriptor of the directory that holds it. */
  readonly dir: number;
  readonly name: string;
  /** Path below the walk's root, without a leading slash. */
  readonly path: string;
  readonly stat: FileStat;
  /** Called during the visit of a directory, keeps the walk out of it. */
  skip(): void;
}

/** Open directories kept at a time; deeper trees are walked by closing ancestors and coming back through "..". */
const openLimit = 64;

interface Level {
  fd: number;
  readonly ino: bigint;
  readonly device: string;
  readonly path: string;
  readonly names: readonly string[];
  next: number;
}

/**
 * Every node below the directory `root`, a directory before what it holds, names in byte order so that the result does not
 * depend on the file system. Nothing is followed and no other file system is entered unless `crosses` says so of a directory;
 * depth is not limited by descriptors or stack. What vanishes meanwhile is left out. `root` stays open and is the caller's.
 */
export function* walkTree(
  root: number,
  options: { readonly crosses?: (dir: number, name: string) => boolean } = {},
): Generator<WalkEntry, void, undefined> {
  const levels: Level[] = [];
  const rootDevice = lstatat(root).device;
  try {
    levels.push(openLevel(root, ".", ""));
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        levels.pop();
        const above = levels.at(-1);
        try {
          if (above && above.fd < 0) above.fd = reopenAbove(level.fd, above);
        } finally {
          closeFd(level.fd);
        }
        continue;
      }
      const path = level.path === "" ? name : `${level.path}/${name}`;
      const stat = ifThere(() => lstatat(level.fd, name));
      if (!stat) continue;
      const crosses = options.crosses ?? (() => false);
      let enter =
        stat.kind === "directory" &&
        (stat.device === rootDevice || ifThere(() => crosses(level.fd, name)) === true);
      yield {
        dir: level.fd,
        name,
        path,
        stat,
        skip: () => {
          enter = false;
        },
      };
      const below = enter ? ifThere(() => openLevel(level.fd, name, path)) : undefined;
      if (!below) continue;
      levels.push(below);
      const far = levels[levels.length - 1 - openLimit];
      if (far && far.fd >= 0) {
        closeFd(far.fd);
        far.fd = -1;
      }
    }
  } finally {
    for (const level of levels) if (level.fd >= 0) closeFd(level.fd);
  }
}

/** For `crosses`: enters what has another device number without being a mount, which is a subvolume of btrfs. */
export function withinMount(dir: number, name: string): boolean {
  try {
    closeFd(openat2(dir, name, O.PATH | O.DIRECTORY | O.NOFOLLOW, RESOLVE.NO_XDEV | RESOLVE.BENEATH));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EXDEV") return false;
    throw error;
  }
}

function openLevel(dir: number, name: string, path: string): Level {
  const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    const { ino, device } = lstatat(fd);
    const names = readDirectory(fd).map((entry) => entry.name);
    return { fd, ino, device, path, names: names.sort(compareBytes), next: 0 };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Goes up one level; ESTALE when somebody moved the directory away meanwhile. */
function reopenAbove(fd: number, above: Level): number {
  const up = openat(fd, "..", O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    const { ino, device } = lstatat(up);
    if (ino === above.ino && device === above.device) return up;
  } catch (error) {
    closeFd(up);
    throw error;
  }
  closeFd(up);
  throw new SystemError(116, "openat", above.path);
}

/** Of names, as the file system has them. */
export function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function ifThere<R>(run: () => R): R | undefined {
  try {
    return run();
  } catch (error) {
    const gone = error instanceof SystemError && ["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code);
    if (gone) return undefined;
    throw error;
  }
}
