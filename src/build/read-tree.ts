import { readSync } from "node:fs";
import { invalid, notFound } from "../base/lib/errors.ts";
import type { ReadableTree } from "../base/spec/builder/readable-tree.ts";
import type { ContextEntry } from "../base/spec/builder/session.ts";
import { compilePathPattern } from "../base/spec/dockerfile/match.ts";
import { closeFd, O } from "../base/sys/at.ts";
import { SystemError } from "../base/sys/libc.ts";
import { RootedDir } from "../base/sys/rooted-dir.ts";
import type { FileStat } from "../base/sys/stat.ts";

/** Bytes of a file that one answer may have: the message that carries it has 16 MiB. */
const maxFileBytes = 15 << 20;
/** Entries of a directory that one answer may have. */
const maxEntries = 50_000;

/** Looks at a tree that is mounted at `path` and does not change. */
export async function readTree<T>(path: string, look: (tree: ReadableTree) => T | Promise<T>): Promise<T> {
  using root = RootedDir.open(path);
  return await look(new OpenTree(root));
}

class OpenTree implements ReadableTree {
  readonly #root: RootedDir;

  constructor(root: RootedDir) {
    this.#root = root;
  }

  file(path: string, { offset, length }: { readonly offset: number; readonly length: number | undefined }) {
    return told("open", path, () => {
      const { kind, size } = this.#root.stat(absolute(path));
      if (kind !== "file")
        throw invalid(`read ${path}: ${kind === "directory" ? "is a directory" : "is not a regular file"}`);
      const rest = Math.max(0, size - offset);
      const wanted = length === undefined ? rest : Math.min(rest, length);
      if (wanted > maxFileBytes)
        throw invalid(
          `read ${path}: ${wanted} bytes are more than the ${maxFileBytes} of one answer: ask for a range`,
        );
      const fd = this.#root.open(absolute(path), O.RDONLY);
      try {
        return readAt(fd, offset, wanted);
      } finally {
        closeFd(fd);
      }
    });
  }

  directory(path: string, pattern: string): readonly ContextEntry[] {
    return told("open", path, () => {
      const names = this.#root
        .readdir(absolute(path))
        .map(({ name }) => name)
        .filter(matcherOf(pattern))
        .sort();
      if (names.length > maxEntries)
        throw invalid(
          `${path} has ${names.length} entries, more than the ${maxEntries} of one answer: ask for a pattern`,
        );
      return names.map((name) => this.#entry(`${absolute(path)}/${name}`, name, false));
    });
  }

  stat(path: string): ContextEntry {
    return told("lstat", path, () =>
      this.#entry(absolute(path), path.slice(path.lastIndexOf("/") + 1), true),
    );
  }

  #entry(path: string, name: string, follow: boolean): ContextEntry {
    const stat = follow ? this.#root.stat(path) : this.#root.lstat(path);
    const linkname = stat.kind === "symlink" ? this.#root.readlink(path) : "";
    return entryOf(name, stat, linkname);
  }
}

function entryOf(path: string, stat: FileStat, linkname: string): ContextEntry {
  const { mode, uid, gid, size, mtime, rdevMajor, rdevMinor } = stat;
  const device = stat.kind === "char" || stat.kind === "block";
  return {
    ...{ path, mode, uid, gid, size: stat.kind === "directory" ? 0 : size, mtime, linkname, xattrs: {} },
    devmajor: device ? rdevMajor : 0,
    devminor: device ? rdevMinor : 0,
  };
}

function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const count = readSync(fd, bytes, at, length - at, offset + at);
    if (count === 0) break;
    at += count;
  }
  return bytes.subarray(0, at);
}

function matcherOf(pattern: string): (name: string) => boolean {
  if (pattern === "") return () => true;
  const { base, components } = compilePathPattern(pattern);
  const [test] = components;
  if (test && components.length === 1 && base === "") return test;
  return (name) => name === pattern;
}

const absolute = (path: string): string => `/${path.replace(/^\/+/, "")}`;

/** Failures in the client's own words for the path. */
function told<T>(call: string, path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (error.code === "ENOENT") throw notFound(`${call} ${path}: no such file or directory`, error);
    const asked = ["ENOTDIR", "ELOOP", "ENAMETOOLONG", "EXDEV", "EINVAL"].includes(error.code);
    if (asked) throw invalid(`${call} ${path}: ${error.message}`, error);
    throw error;
  }
}
