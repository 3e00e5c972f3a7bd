import { posix } from "node:path";
import {
  closeFd,
  fchmod,
  lutimesat,
  mkdirat,
  mknodat,
  O,
  openat,
  openat2,
  RESOLVE,
  rmdirat,
  S_IFREG,
  unlinkat,
} from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { type FileStat, lstatat, tryLstatat } from "../../../base/sys/stat.ts";

/** What a mount needs to be there. */
export interface MountTarget {
  /** Absolute, as the step names it. */
  readonly path: string;
  readonly kind: "directory" | "file";
}

interface Made {
  /** O_PATH descriptor of the directory that it was made in: whatever the step renames, it is found again, and nothing else. */
  readonly dir: number;
  readonly name: string;
  readonly stat: FileStat;
}

/** So many symbolic links may lie on the way to a target, as the kernel has it (path_resolution(7)). */
const LINKS = 40;

/**
 * The places in a step's root that exist for its mounts only. They are made before it runs and taken away afterwards, unless it put
 * something of its own there: the layer holds what the step did and nothing of us. Taking away goes by the descriptors of the directories
 * in which they were made, never by a path that the step could have changed (CVE-2024-23652). Directories get back the time that
 * making and removing changed.
 */
export class MountTargets implements Disposable {
  readonly #root: RootedDir;
  readonly #made: Made[] = [];

  constructor(root: RootedDir) {
    this.#root = root;
  }

  /** Makes what is missing. Returns the target without links in it, so that a runtime has none to follow. */
  make(target: MountTarget): string {
    const path = this.#withoutLinks(target.path);
    const parts = path.split("/").filter(Boolean);
    let dir = openat(this.#root.fd, ".", O.PATH | O.DIRECTORY);
    let kept = false;
    try {
      for (const [index, name] of parts.entries()) {
        const last = index === parts.length - 1;
        if (!tryLstatat(dir, name)) {
          this.#add(dir, name, last && target.kind === "file");
          kept = true;
        }
        if (last) return path;
        const next = openBelow(dir, name);
        // Something else stands in the way: the runtime's own error says it best.
        if (next === undefined) return path;
        if (!kept) closeFd(dir);
        kept = false;
        dir = next;
      }
      return path;
    } finally {
      if (!kept) closeFd(dir);
    }
  }

  #add(dir: number, name: string, file: boolean): void {
    const before = lstatat(dir);
    if (file) mknodat(dir, name, S_IFREG | 0o755);
    else {
      mkdirat(dir, name, 0o755);
      const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      fchmod(fd, 0o755);
      closeFd(fd);
    }
    this.#made.push({ dir, name, stat: lstatat(dir, name) });
    restoreTime(dir, before);
  }

  /** Takes away what was made and is still as it was, the innermost first. */
  remove(): void {
    for (const { dir, name, stat } of [...this.#made].reverse()) {
      const before = lstatat(dir);
      const now = tryLstatat(dir, name);
      if (now?.kind !== stat.kind || now.ino !== stat.ino || now.device !== stat.device) continue;
      if (stat.kind === "directory" ? removedDirectory(dir, name) : removedFile(dir, name, now))
        restoreTime(dir, before);
    }
  }

  [Symbol.dispose](): void {
    for (const { dir } of this.#made.splice(0)) closeFd(dir);
  }

  /** Follows links inside the root, also those that lead to nothing yet. */
  #withoutLinks(target: string): string {
    const rest = posix.normalize(target).split("/").filter(Boolean);
    let path = "";
    let links = 0;
    for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
      if (part === "..") {
        path = path.slice(0, path.lastIndexOf("/"));
        continue;
      }
      const next = `${path}/${part}`;
      if (this.#root.tryLstat(next)?.kind !== "symlink") {
        path = next;
        continue;
      }
      if (++links > LINKS) throw new SystemError(40, "open", target);
      const to = this.#root.readlink(next);
      if (to.startsWith("/")) path = "";
      rest.unshift(...to.split("/").filter((word) => word !== "" && word !== "."));
    }
    return path || "/";
  }
}

function openBelow(dir: number, name: string): number | undefined {
  try {
    return openat2(dir, name, O.PATH | O.DIRECTORY, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS);
  } catch (error) {
    if (error instanceof SystemError && ["ENOTDIR", "ELOOP"].includes(error.code)) return undefined;
    throw error;
  }
}

/** Only an empty one: what the step put there is its own. */
function removedDirectory(dir: number, name: string): boolean {
  try {
    rmdirat(dir, name);
    return true;
  } catch (error) {
    if (error instanceof SystemError && ["ENOTEMPTY", "EEXIST", "ENOENT"].includes(error.code)) return false;
    throw error;
  }
}

function removedFile(dir: number, name: string, now: FileStat): boolean {
  if (now.size !== 0) return false;
  unlinkat(dir, name);
  return true;
}

function restoreTime(dir: number, { mtime }: FileStat): void {
  lutimesat(dir, "", { atime: undefined, mtime });
}
