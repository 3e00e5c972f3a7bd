import { closeFd, linkat, O, openat2, RESOLVE } from "../../../base/sys/at.ts";
import { SystemError } from "../../../base/sys/libc.ts";
import type { RootedDir } from "../../../base/sys/rooted-dir.ts";
import type { FileStat } from "../../../base/sys/stat.ts";
import type { Copied, CopiedFile } from "./copy-notes.ts";
import type { Look } from "./nodes.ts";

/** What is less is copied in the time that it takes to know of it. */
const worthwhile = { files: 32, bytes: 1 << 20 };

/**
 * Where programs look at how many names a file has, and refuse those with several: cron its tables, mail servers their queues. What lies there is
 * copied, as are programs that run as their owner.
 */
const oneName = /^(?:etc|var|run|tmp)\//;
const S_SPECIAL = 0o7000;

/**
 * What a step copied the last time. A file whose source is still the same becomes another name of the earlier copy, which costs neither time nor
 * space: neither of them is ever written to, as both belong to trees that no longer change. It has the same path in both, so that no view of
 * several trees ever shows two names of it.
 */
export class EarlierCopy {
  readonly #known: ReadonlyMap<string, CopiedFile>;
  readonly #earlier: Places | undefined;
  readonly #now: Places | undefined;
  readonly #tree: string | undefined;
  #linked = false;
  /** Of all files that were copied or linked. */
  #bytes = 0;
  /** Undefined: something else is at work, too. */
  #made: Map<string, CopiedFile> | undefined = new Map();

  /** `from`: the earlier copy's tree, `to`: that which is written, both on one mount. Without them all is copied. */
  constructor(copied?: Copied, at?: { readonly from: RootedDir; readonly to: RootedDir }) {
    this.#known = copied?.files ?? new Map();
    this.#tree = copied?.tree;
    this.#earlier = at && new Places(at.from);
    this.#now = at && new Places(at.to);
  }

  /** The tree that files were linked from, if any was. */
  get linked(): string | undefined {
    return this.#linked ? this.#tree : undefined;
  }

  /**
   * Gives the earlier copy its name in the tree that is written, whose directory is there, and tells what is known of it; undefined when there is none
   * that will do.
   */
  again(
    path: string,
    source: FileStat,
    look: Look,
    { told }: { readonly told: boolean },
  ): CopiedFile | undefined {
    const known = this.#known.get(path);
    if (!known || (told && known.content === undefined) || known.state !== sameness(source, look))
      return undefined;
    const slash = path.lastIndexOf("/");
    const [above, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
    const [from, to] = [this.#earlier?.open(above), this.#now?.open(above)];
    if (from === undefined || to === undefined) return undefined;
    try {
      linkat(from, name, to, name);
    } catch (error) {
      // Removed meanwhile, or it has as many names as it can: it is copied.
      if (error instanceof SystemError) return undefined;
      throw error;
    }
    this.#linked = true;
    this.#note(path, known, source.size);
    return known;
  }

  /** A file that was copied; the next run may link it. */
  copied(path: string, source: FileStat, look: Look, told: Omit<CopiedFile, "state"> = {}): void {
    if (source.btime === 0n || oneName.test(path) || (look.mode & S_SPECIAL) !== 0) return;
    this.#note(path, { state: sameness(source, look), ...told }, source.size);
  }

  #note(path: string, file: CopiedFile, size: number): void {
    this.#made?.set(path, file);
    this.#bytes += size;
  }

  /** Something else is at this path now. */
  forget(path: string): void {
    this.#made?.delete(path);
  }

  /** Whatever was copied may have been changed since: nothing of it is told. */
  forgetAll(): void {
    this.#made = undefined;
  }

  /** What the next run may link; undefined when that is not worth while. */
  get made(): ReadonlyMap<string, CopiedFile> | undefined {
    if (!this.#made) return undefined;
    return this.#made.size >= worthwhile.files || this.#bytes >= worthwhile.bytes ? this.#made : undefined;
  }
}

/** Directories of a tree by path, of which the last one stays open: files of one come together. */
class Places {
  readonly #tree: RootedDir;
  #held: { readonly path: string; readonly fd: number | undefined } | undefined;

  constructor(tree: RootedDir) {
    this.#tree = tree;
  }

  /** Valid until the next call; undefined where no directory is. */
  open(path: string): number | undefined {
    if (this.#held?.path === path) return this.#held.fd;
    if (this.#held?.fd !== undefined) closeFd(this.#held.fd);
    this.#held = undefined;
    const fd = this.#open(path === "" ? "." : path);
    this.#held = { path, fd };
    return fd;
  }

  #open(path: string): number | undefined {
    try {
      return openat2(this.#tree.fd, path, O.PATH | O.DIRECTORY, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS);
    } catch (error) {
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }
}

/**
 * Equal for files that are one and for copies that look alike: the source's inode, of which there is never another that was made at the same time, and
 * what a copy of it gets. Sources lie in trees that do not change, so that an inode's content does not either.
 */
function sameness(source: FileStat, { mode, uid, gid, mtime }: Look): string {
  const { ino, btime, size } = source;
  return `${ino}.${btime}.${size}.${source.mtime} ${mode}.${uid}.${gid}.${mtime}`;
}
