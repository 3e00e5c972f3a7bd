import { closeSync, constants, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { join } from "node:path";
import { notFound, TugError } from "../../lib/errors.ts";
import { type ParentMatches, PatternList } from "../../spec/dockerfile/ignore.ts";
import { EntryReader } from "../../sys/lstat.ts";
import { compareNames, fileType, hasSurrogate, isType, type TreeEntry } from "./entry.ts";
import { pathsBehindLinks } from "./follow.ts";
import type { TreeSource } from "./send.ts";

/** What of a directory is sent. */
export interface TreeFilter {
  /** Empty: everything. Directories above what matches come too. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Paths, possibly with wildcards, that are included with whatever their symbolic links lead to. */
  readonly follow: readonly string[];
  /** "root": everything is owned by 0:0, as Docker's clients send contexts. */
  readonly owner: "root" | "keep";
}

const noAttributes: TreeEntry["xattrs"] = Object.freeze({});
const pieceBytes = 128 * 1024;

/** A directory of this machine as a tree to send. Links in it are never followed; sockets are left out. */
export function directoryTree(root: string, filter: TreeFilter): TreeSource {
  // One for all pieces: whoever sends them has copied one before it asks for the next.
  let piece: Buffer | undefined;
  return {
    walk: () => new Walk(root, filter).run(),
    *open(path) {
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      const fd = openSync(join(root, path), flags);
      try {
        for (;;) {
          piece ??= Buffer.allocUnsafeSlow(pieceBytes);
          const length = readSync(fd, piece, 0, pieceBytes, null);
          if (length === 0) return;
          yield piece.subarray(0, length);
        }
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** A directory that the walk is in. */
interface Frame {
  readonly path: string;
  readonly names: readonly string[];
  /** Index of the next of `names`. */
  at: number;
  /** undefined at the top, and once it was sent. */
  entry: TreeEntry | undefined;
  /** It or a directory above it was not sent. */
  unsent: boolean;
  /** All of it is included. */
  readonly whole: boolean;
  readonly include: ParentMatches | undefined;
  readonly exclude: ParentMatches | undefined;
}

class Walk {
  readonly #root: string;
  readonly #filter: TreeFilter;
  readonly #include: PatternList | undefined;
  readonly #exclude: PatternList | undefined;
  readonly #reader = new EntryReader();
  /** First names of files that have several. */
  readonly #links = new Map<string, string>();

  constructor(root: string, filter: TreeFilter) {
    this.#root = root;
    this.#filter = filter;
    const followed = filter.follow.length > 0 ? pathsBehindLinks(root, filter.follow) : [];
    // A followed path that is the root itself takes the filter away (fsutil's dedupePaths).
    const include = followed === undefined ? [] : [...filter.include, ...followed];
    this.#include = include.length > 0 ? new PatternList(include) : undefined;
    this.#exclude = filter.exclude.length > 0 ? new PatternList(filter.exclude) : undefined;
  }

  /** With a stack of its own: generators that delegate to each other would pay for every level at every entry. */
  *run(): Generator<TreeEntry, void, void> {
    const stack: Frame[] = [this.#frame("", undefined, this.#include === undefined, undefined, undefined)];
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      const name = frame.names[frame.at++];
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const path = frame.path === "" ? name : `${frame.path}/${name}`;
      const entry = this.#entry(path);
      if (!entry && !maybeNotUtf8(name)) continue;
      const include = frame.whole ? undefined : this.#include?.matchBelow(path, frame.include);
      const exclude = this.#exclude?.matchBelow(path, frame.exclude);
      const kept = include?.matched !== false && exclude?.matched !== true;
      if (!entry) {
        if (kept) throw notUtf8(path, "has a name");
        continue;
      }
      if (kept) {
        // Directories above it that do not match themselves come along.
        if (frame.unsent) {
          for (const above of stack) {
            if (above.entry) yield above.entry;
            above.entry = undefined;
            above.unsent = false;
          }
        }
        yield this.#several.size === 0 ? entry : this.#linked(entry);
      }
      if (!isType(entry.mode, fileType.directory)) continue;
      if (include && !include.matched && !this.#include?.mayMatchBelow(path)) continue;
      if (exclude?.matched && !this.#exclude?.mayExceptBelow(path)) continue;
      // What matches a directory matches all that is in it, unless an exception takes it out again.
      const whole = frame.whole || (include?.matched === true && this.#include?.hasExceptions === false);
      const next = this.#frame(path, kept ? undefined : entry, whole, include?.below, exclude?.below);
      next.unsent = !kept;
      stack.push(next);
    }
  }

  #frame(
    path: string,
    entry: TreeEntry | undefined,
    whole: boolean,
    include: ParentMatches | undefined,
    exclude: ParentMatches | undefined,
  ): Frame {
    return { path, names: this.#names(path), at: 0, entry, unsent: false, whole, include, exclude };
  }

  #names(path: string): readonly string[] {
    try {
      const names = readdirSync(join(this.#root, path));
      // The default order is that of UTF-16 units, which differs from that of bytes for rare names only.
      return names.some(hasSurrogate) ? names.sort(compareNames) : names.sort();
    } catch (error) {
      if (path === "") throw notFound(`cannot read the directory ${this.#root}`, error);
      if (isGone(error)) return [];
      throw error;
    }
  }

  #entry(path: string): TreeEntry | undefined {
    try {
      const full = `${this.#root}/${path}`;
      const stat = this.#reader.read(full);
      if (!stat) return undefined;
      const { mode } = stat;
      if (isType(mode, fileType.socket)) return undefined;
      const keep = this.#filter.owner === "keep";
      const type = mode & fileType.mask;
      const device = type === fileType.block || type === fileType.character;
      const entry = {
        path,
        mode,
        uid: keep ? stat.uid : 0,
        gid: keep ? stat.gid : 0,
        size: type === fileType.directory ? 0 : stat.size,
        mtime: stat.mtime,
        linkname: type === fileType.symlink ? target(full, path) : "",
        devmajor: device ? stat.rdevMajor : 0,
        devminor: device ? stat.rdevMinor : 0,
        xattrs: noAttributes,
      };
      if (stat.nlink > 1 && type === fileType.regular) this.#several.set(path, stat.inode);
      return entry;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Inodes of files with several names, until they are sent or not. */
  readonly #several = new Map<string, string>();

  /** A file's second name among those that are sent is a link to the first. */
  #linked(entry: TreeEntry): TreeEntry {
    const inode = this.#several.get(entry.path);
    if (inode === undefined) return entry;
    this.#several.delete(entry.path);
    const first = this.#links.get(inode);
    if (first !== undefined) return { ...entry, linkname: first, size: 0 };
    this.#links.set(inode, entry.path);
    return entry;
  }
}

/** What stands in a text for bytes that are no UTF-8: a file of such a name is not found by it. */
const maybeNotUtf8 = (text: string) => text.includes("\ufffd");

/** The protocol's messages hold UTF-8 only. Leaving such a file out without a word would lose it. */
function notUtf8(path: string, what: string): TugError {
  return new TugError(
    "invalid-argument",
    `${JSON.stringify(path)} ${what} that is not UTF-8, which the protocol of builds cannot carry: ` +
      "rename it, leave it out (.dockerignore), or use a tar",
  );
}

function target(full: string, path: string): string {
  const text = readlinkSync(full);
  if (maybeNotUtf8(text) && !readlinkSync(full, { encoding: "buffer" }).equals(Buffer.from(text)))
    throw notUtf8(path, "is a symbolic link with a target");
  return text;
}

/** Removed between the directory's reading and now: it is not part of the tree. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
