import { invalid } from "../../../base/lib/errors.ts";
import type { ContextEntry, ContextTarget } from "../../session.ts";
import { readEntry, sameEntry, type TreeEntry, type TreeIndex } from "./tree-index.ts";
import type { StagedFile, TreeStaging } from "./tree-staging.ts";

/** A client cannot fill our memory with names. */
const entryLimit = 2_000_000;
const textLimit = 512 * 1024 * 1024;

/** What a transfer came to. */
export interface ReceivedTree {
  readonly entries: ReadonlyMap<string, TreeEntry>;
  /** Contents that came, by path; what is not here is as it was. */
  readonly staged: ReadonlyMap<string, StagedFile>;
}

/**
 * Takes a context from a client. Nothing of the kept tree is touched meanwhile: entries are compared with what is remembered of it,
 * contents are staged, and `result` says what the tree is to become.
 */
export class TreeReceiver implements ContextTarget {
  readonly #kept: () => TreeIndex | undefined;
  readonly #staging: TreeStaging;
  /** Archives may tell a path again, and the last one counts; a session's sender may not. */
  readonly #repeats: boolean;
  readonly #entries = new Map<string, TreeEntry>();
  /** Kept where an entry may be told again. */
  readonly #children = new Map<string, Set<string>>();
  readonly #staged = new Map<string, StagedFile>();
  readonly #wanted = new Set<string>();
  #text = 0;
  #finished = false;
  #unchanged = false;
  #told: Uint8Array | undefined;
  /** A file was not as it was told to be. */
  #odd = false;
  readonly lately: Uint8Array | undefined;

  constructor(
    kept: () => TreeIndex | undefined,
    staging: TreeStaging,
    options: { readonly repeats?: boolean; readonly lately?: Uint8Array | undefined } = {},
  ) {
    this.#kept = kept;
    this.#staging = staging;
    this.#repeats = options.repeats ?? false;
    this.lately = options.lately;
  }

  unchanged(): void {
    this.#unchanged = true;
  }

  remember(told: Uint8Array): void {
    this.#told = told;
  }

  /** The tree is what it was: there is no `result`. */
  get isUnchanged(): boolean {
    return this.#unchanged && this.#finished;
  }

  /** What to compare the next transfer with; undefined: it has to be read whatever it says. */
  get told(): Uint8Array | undefined {
    return this.#odd ? undefined : this.#told;
  }

  entry(told: ContextEntry): boolean {
    if (this.#finished) throw invalid("the build context goes on after its end");
    const entry = readEntry(told);
    if (!entry) return false;
    this.#text += entry.path.length + entry.linkname.length + entry.attributes.length;
    if (this.#entries.size >= entryLimit || this.#text > textLimit)
      throw invalid(`the build context has too many entries: leave some out in .dockerignore`);
    const { path } = entry;
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : path.slice(0, slash);
    if (parent !== "" && this.#entries.get(parent)?.kind !== "directory")
      throw invalid(`the build context has ${JSON.stringify(path)} outside of a directory: refused`);
    const before = this.#entries.get(path);
    if (before) this.#replace(before, entry);
    if (this.#repeats) this.#addChild(parent, path);
    if (entry.kind === "file" && entry.linkname !== "") this.#checkLink(entry);
    const kept = this.#kept()?.lstat(path);
    if (kept && sameEntry(kept, entry)) {
      this.#entries.set(path, kept);
      return false;
    }
    this.#entries.set(path, entry);
    if (entry.kind !== "file" || entry.linkname !== "") return false;
    this.#wanted.add(path);
    return true;
  }

  async content(path: string, bytes: Uint8Array, last: boolean): Promise<void> {
    const entry = this.#entries.get(path);
    if (!entry || !this.#wanted.has(path))
      throw invalid(`the client sends ${JSON.stringify(path.slice(0, 200))}, which nobody asked for`);
    const staged = this.#staging.write(entry, bytes, last);
    if (!staged) return;
    this.#wanted.delete(path);
    this.#staged.set(path, staged);
    // A file that changed while it was sent is asked for again the next time.
    if (staged.size !== entry.size) this.#odd = true;
    this.#entries.set(path, { ...entry, size: staged.size, content: staged.content });
  }

  async finish(): Promise<void> {
    const [missing] = this.#wanted;
    if (missing !== undefined)
      throw invalid(`the build context ended before the content of ${JSON.stringify(missing)} came`);
    this.#finished = true;
  }

  /** Throws when the transfer did not end. */
  result(): ReceivedTree {
    if (!this.#finished) throw invalid("the build context was not sent to its end");
    return { entries: this.#entries, staged: this.#staged };
  }

  /** Whether something of that path was told. */
  has(path: string): boolean {
    return this.#entries.has(path);
  }

  #addChild(parent: string, path: string): void {
    const names = this.#children.get(parent);
    if (names) names.add(path);
    else this.#children.set(parent, new Set([path]));
  }

  #replace(before: TreeEntry, entry: TreeEntry): void {
    if (!this.#repeats) throw invalid(`the build context has ${JSON.stringify(entry.path)} twice: refused`);
    this.#staged.delete(entry.path);
    this.#wanted.delete(entry.path);
    if (before.kind !== "directory" || entry.kind === "directory") return;
    const gone = [entry.path];
    for (let path = gone.pop(); path !== undefined; path = gone.pop()) {
      for (const child of this.#children.get(path) ?? []) {
        gone.push(child);
        this.#entries.delete(child);
        this.#staged.delete(child);
        this.#wanted.delete(child);
      }
      this.#children.delete(path);
    }
  }

  #checkLink(entry: TreeEntry): void {
    const target = this.#entries.get(entry.linkname);
    if (target?.kind !== "file" || target.linkname !== "")
      throw invalid(
        `the build context's ${JSON.stringify(entry.path)} is a hard link to ${JSON.stringify(entry.linkname)}, which is no file: refused`,
      );
  }
}
