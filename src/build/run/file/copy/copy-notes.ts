import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../../base/lib/storage-error.ts";
import { isUnfinishedNote, writeNote } from "../note-file.ts";

/** What a copy of a regular file was. */
export interface CopiedFile {
  /** Equal for copies of one file that look alike. */
  readonly state: string;
  /** As `CopyWitness` has them; absent: nobody asked. */
  readonly content?: string | undefined;
  readonly xattrs?: string | undefined;
}

/** What one run of a step copied. */
export interface Copied {
  /** Path of the tree that has the copies, below the directory of all trees. */
  readonly tree: string;
  /** By their paths in it. */
  readonly files: ReadonlyMap<string, CopiedFile>;
}

/** Where notes of what steps copied lie, one file for each: the tree's path on a line of its own, then its files as JSON. */
export interface CopyNotes {
  /** An existing directory of its own. */
  readonly directory: string;
  /** The directory below which all trees lie. */
  readonly trees: string;
}

/** Undefined for a file that is not there or damaged. */
export function readNotes(path: string): Copied | undefined {
  try {
    const text = readFileSync(path, "utf8");
    const end = text.indexOf("\n");
    // Only we write there.
    return {
      tree: text.slice(0, end),
      files: new Map(JSON.parse(text.slice(end)) as [string, CopiedFile][]),
    };
  } catch {
    return undefined;
  }
}

/** `dir`: descriptor of the directory. */
export function writeNotes(dir: number, name: string, { tree, files }: Copied): void {
  writeNote(dir, name, `${tree}\n${JSON.stringify([...files])}`);
}

/** Removes the notes of trees that are gone, and what writers that were killed left; for when no step runs, or after trees were removed. */
export function pruneNotes({ directory, trees }: CopyNotes, options: { readonly idle: boolean }): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    const stale = isUnfinishedNote(name) ? options.idle : !existsSync(join(trees, treeOf(path)));
    if (stale) rmSync(path, { force: true });
  }
}

const nowhere = "\0";

/** The first line; `nowhere` for a file without, or that a step took away just now. */
function treeOf(path: string): string {
  const line = Buffer.alloc(256);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return nowhere;
    throw error;
  }
  try {
    const text = line.toString("latin1", 0, readSync(fd, line, 0, line.length, 0));
    return text.includes("\n") ? text.slice(0, text.indexOf("\n")) : nowhere;
  } finally {
    closeSync(fd);
  }
}
