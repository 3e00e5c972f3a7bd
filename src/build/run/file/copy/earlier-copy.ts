import { closeFd, futimes, mknodat, O, openat, S_IFCHR } from "../../../../base/sys/at.ts";
import { SystemError } from "../../../../base/sys/libc.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import { type FileStat, lstatat, namesIn, readDirectory, tryLstatat } from "../../../../base/sys/stat.ts";
import { listXattrsOf, removeXattr } from "../../../../base/sys/xattr.ts";
import type { Copied, CopiedFile } from "./copy-notes.ts";
import type { Look } from "./nodes.ts";

/** What is less is copied in the time that it takes to know of it. */
const worthwhile = { files: 32, bytes: 1 << 20 };
/** Components of a path: trees that are deeper complete none, so that descriptors suffice to walk two at once. */
const deepest = 64;
const opaque = "trusted.overlay.opaque";

/** How a copy came out: completed by the earlier one, by itself, or in a way that the earlier one cannot complete. */
export type Outcome = "completed" | "alone" | "unfit";

/**
 * What a step copied the last time, when it copies one directory. A file whose source is still the same is left out: the earlier copy's tree completes the new one
 * (`CommitOptions.base`), which costs neither time nor space. What the earlier tree has and the new one must not is hidden by whiteouts.
 */
export class EarlierCopy {
  readonly #earlier: { readonly copied: Copied; readonly tree: RootedDir } | undefined;
  readonly #left = new Set<string>();
  readonly #made = new Map<string, CopiedFile>();
  #bytes = 0;
  #hidden = 0;
  #deep = false;
  #unfit = false;

  /** Without an earlier copy everything is copied, to be the earlier one of the next run. */
  constructor(earlier?: { readonly copied: Copied; readonly tree: RootedDir }) {
    this.#earlier = earlier;
  }

  /** What is known of a file that the earlier copy has and that is to be left out; undefined for one that is to be copied. */
  has(
    path: string,
    source: FileStat,
    look: Look,
    { told }: { readonly told: boolean },
  ): CopiedFile | undefined {
    const known = this.#earlier?.copied.files.get(path);
    if (!known || (told && known.content === undefined) || known.state !== sameness(source, look))
      return undefined;
    this.#left.add(path);
    return known;
  }

  /** A file that was copied. */
  copied(path: string, source: FileStat, look: Look, told: Omit<CopiedFile, "state"> = {}): void {
    if (source.btime === 0n) return;
    this.#made.set(path, { state: sameness(source, look), ...told });
    this.#bytes += source.size;
    this.#deep ||= path.split("/", deepest + 1).length > deepest;
  }

  /** The source's file at this path has another name in the copy, which must be one of this file's: neither is left out, now or the next time. */
  severalNames(path: string): void {
    this.#made.delete(path);
    this.#unfit ||= this.#left.has(path);
  }

  /** To be called when all is copied. `own`: what is made, `root`: the same on what it is made on. */
  finish(own: RootedDir, root: RootedDir): Outcome {
    const earlier = this.#earlier;
    if (!earlier || this.#left.size === 0) {
      if (this.next) this.#deep ||= within(own.fd, ".", (dir) => showThrough(dir, 0)) > deepest;
      return "alone";
    }
    return !this.#unfit && this.#fits(earlier.tree, own, root) ? "completed" : "unfit";
  }

  #fits(earlier: RootedDir, own: RootedDir, root: RootedDir): boolean {
    try {
      return within(earlier.fd, ".", (from) => within(own.fd, ".", (to) => this.#hide(from, to, "", root)));
    } catch (error) {
      // A prune takes the earlier tree away just now.
      if (error instanceof SystemError && error.code === "ENOENT") return false;
      throw error;
    }
  }

  /** After `finish`: what the next run can build upon. "as before": what this one was completed by. */
  get next(): ReadonlyMap<string, CopiedFile> | "as before" | undefined {
    const changed = this.#made.size + this.#hidden;
    // When much is different one whole copy is cheaper than the same difference each time.
    if (this.#left.size > 0) return 3 * changed > this.#left.size ? undefined : "as before";
    const worth = this.#made.size >= worthwhile.files || this.#bytes >= worthwhile.bytes;
    return worth && !this.#deep ? this.#made : undefined;
  }

  /** Whiteouts for what `earlier` has and this copy does not; false where the same name is in what it is made on, which they would hide, too. */
  #hide(earlier: number, own: number, path: string, root: RootedDir): boolean {
    if (listXattrsOf(earlier).includes(opaque)) return false;
    showThroughAt(own);
    const { atime, mtime } = lstatat(own);
    const before = this.#hidden;
    for (const name of namesIn(earlier)) {
      const at = path === "" ? name : `${path}/${name}`;
      if (this.#left.has(at)) continue;
      const made = tryLstatat(own, name);
      if (made) {
        if (made.kind !== "directory" || lstatat(earlier, name).kind !== "directory") continue;
        if (!within(earlier, name, (from) => within(own, name, (to) => this.#hide(from, to, at, root))))
          return false;
        continue;
      }
      if (root.tryLstat(`/${at}`)) return false;
      mknodat(own, name, S_IFCHR);
      this.#hidden++;
    }
    if (this.#hidden > before) futimes(own, { atime, mtime });
    return true;
  }
}

/**
 * Takes from a tree's directories the mark that hides what is below: where a copy made them nothing was, and the kernel sets it all the same (before Linux
 * 5.14, and with xino). A tree that completes another one must hide nothing of a root that it was not made on. Returns its depth, of which what is more than
 * `deepest` was not looked at.
 */
function showThrough(dir: number, depth: number): number {
  if (depth > deepest) return depth;
  showThroughAt(dir);
  const below = within(dir, ".", readDirectory).filter(({ kind }) => kind === "directory");
  return below.reduce(
    (most, { name }) =>
      Math.max(
        most,
        within(dir, name, (fd) => showThrough(fd, depth + 1)),
      ),
    depth,
  );
}

function showThroughAt(dir: number): void {
  if (listXattrsOf(dir).includes(opaque)) removeXattr(dir, "", opaque);
}

function within<R>(dir: number, name: string, use: (fd: number) => R): R {
  const fd = openat(dir, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  try {
    return use(fd);
  } finally {
    closeFd(fd);
  }
}

/**
 * Equal for files that are one and for copies that look alike: the source's inode, of which there is never another that was made at the same time, and
 * what a copy of it gets. Sources lie in trees that do not change, so that an inode's content does not either.
 */
export function sameness(source: FileStat, { mode, uid, gid, mtime }: Look): string {
  const { ino, btime, size } = source;
  return `${ino}.${btime}.${size}.${source.mtime} ${mode}.${uid}.${gid}.${mtime}`;
}
