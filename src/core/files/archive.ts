import { tarTrailer } from "../../base/lib/tar/writer.ts";
import type { PathStat } from "../../base/spec/docker/path-stat.ts";
import { closeFd, O, openat } from "../../base/sys/at.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { fileSystemMagic } from "../../base/sys/mount/tree.ts";
import { type FileStat, lstatat } from "../../base/sys/stat.ts";
import { walkTree } from "../../base/sys/walk.ts";
import { TarNodes } from "../snapshot/tar-node.ts";
import { pathStat } from "./path-stat.ts";
import { absolutePath, baseName, evaluateLinks } from "./paths.ts";
import type { OpenView } from "./view.ts";

/** proc, sysfs, cgroup (v1, v2), devpts, mqueue, debugfs, tracefs, securityfs, bpf (statfs(2)). */
const kernelMagics: ReadonlySet<number> = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x64626720, 0x74726163, 0x73636673,
  0xcafe4a11,
]);

/** A node that was found: the directory that holds it stays open. `name` "" is the directory itself. */
interface Found extends Disposable {
  readonly dir: number;
  readonly name: string;
  readonly stat: FileStat;
  readonly absolute: string;
}

/** Resolves all but a last link, as lstat does; "/" or "/." at the end asks for the directory behind it. */
function find(view: OpenView, path: string): Found {
  const absolute = absolutePath(path);
  try {
    return open(view, absolute);
  } catch (error) {
    // Whichever step failed, it is the look-up of this path that did.
    throw error instanceof SystemError ? new SystemError(error.errno, "lstat", absolute) : error;
  }
}

function open(view: OpenView, absolute: string): Found {
  const follow = absolute.endsWith("/") || absolute.endsWith("/.");
  const { root } = view;
  const name = follow ? "" : baseName(absolute);
  const parent = follow || name === "/" ? absolute : absolute.slice(0, absolute.lastIndexOf("/")) || "/";
  const dir = root.open(parent, O.PATH | O.DIRECTORY);
  try {
    refuseKernelFiles(dir, parent, name);
    const stat = lstatat(dir, follow ? "" : name);
    // A directory that is a mount point is there, and empty.
    const below = name !== "" && name !== "/" && view.hides(lstatat(dir));
    if (below || (stat.kind !== "directory" && view.hides(stat, name)))
      throw new SystemError(2, "lstat", absolute);
    return {
      dir,
      name: follow ? "" : name,
      stat,
      absolute,
      [Symbol.dispose]: () => closeFd(dir),
    };
  } catch (error) {
    closeFd(dir);
    throw error;
  }
}

/** The kernel's own file systems hold no files to copy: like Docker, nothing below their mount points is there. */
function refuseKernelFiles(dir: number, parent: string, name: string): void {
  if (name !== "" && name !== "/" && kernelMagics.has(fileSystemMagic(dir))) {
    throw new SystemError(2, "lstat", `${parent}/${name}`);
  }
}

/** HEAD: what the path itself is, and where it leads when it is a link. */
export function statView(view: OpenView, path: string): PathStat {
  using found = find(view, path);
  return describe(view, found);
}

function describe(view: OpenView, found: Found): PathStat {
  const target =
    found.stat.kind === "symlink" ? evaluateLinks(view.root, found.absolute, { mustExist: false }) : "";
  return pathStat(baseName(found.absolute), found.stat, target);
}

/** GET: the stat first, then the tar. A directory brings what it holds, under its own name. */
export function archiveOf(
  view: OpenView,
  path: string,
): Disposable & { readonly stat: PathStat; tar(): Generator<Uint8Array, void, undefined> } {
  const found = find(view, path);
  return {
    stat: describe(view, found),
    tar: () => archive(view, found),
    [Symbol.dispose]: () => found[Symbol.dispose](),
  };
}

function* archive(view: OpenView, found: Found): Generator<Uint8Array, void, undefined> {
  const nodes = new TarNodes({ wholeSeconds: true });
  const base = baseName(found.absolute);
  if (found.stat.kind !== "directory") {
    yield* nodes.member(found.dir, found.name, base, found.stat);
    yield tarTrailer;
    return;
  }
  // The root's own name is nothing: its members begin with a slash, as Docker writes them.
  const prefix = base === "/" ? "" : base;
  const fd = openat(found.dir, found.name === "" ? "." : found.name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    const own = lstatat(fd);
    yield* nodes.member(fd, "", `${prefix}/`, own);
    if (!kernelMagics.has(fileSystemMagic(fd)) && !view.hides(own)) {
      const crosses = (dir: number, name: string) => view.crosses(dir, name);
      for (const { dir, name, path, stat } of walkTree(fd, { crosses })) {
        if (stat.kind !== "directory" && view.hides(stat, name)) continue;
        yield* nodes.member(dir, name, `${prefix}/${path}`, stat);
      }
    }
    yield tarTrailer;
  } finally {
    closeFd(fd);
  }
}
