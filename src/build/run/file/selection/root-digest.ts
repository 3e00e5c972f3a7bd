import { readSync } from "node:fs";
import { CryptoHasher } from "bun";
import { closeFd, O } from "../../../../base/sys/at.ts";
import type { RootedDir } from "../../../../base/sys/rooted-dir.ts";
import type { FileStat } from "../../../../base/sys/stat.ts";
import { writeNote } from "../note-file.ts";
import { xattrText } from "./attributes.ts";
import type { DigestibleTree } from "./content-digest.ts";
import { RootReader } from "./tree-reader.ts";

/** A mounted tree whose files are read to be hashed, each once as long as its hash is remembered. */
export class DigestedRoot extends RootReader implements DigestibleTree<FileStat> {
  readonly #root: RootedDir;
  readonly #known: HashMemory;

  constructor(root: RootedDir, known: HashMemory) {
    super(root);
    this.#root = root;
    this.#known = known;
  }

  content(path: string, node: FileStat): string {
    return this.#known.get(path, node, () => this.#hash(path));
  }

  xattrs(path: string): string {
    const slash = path.lastIndexOf("/");
    const dir = this.directory(path.slice(0, Math.max(slash, 0)));
    if (dir === undefined) return "";
    return xattrText(dir, path.slice(slash + 1));
  }

  #hash(path: string): string {
    const fd = this.#root.open(`/${path}`, O.RDONLY | O.NOFOLLOW | O.NONBLOCK);
    try {
      const hash = new CryptoHasher("sha256");
      hashContent(fd, hash);
      return hash.digest("hex");
    } finally {
      closeFd(fd);
    }
  }
}

/** Path, what tells whether the file is still the same, and its hash. */
type Line = readonly [path: string, state: string, hash: string];

/** What was hashed of a tree, in a file beside it; one that cannot be read counts as empty. */
export class HashMemory {
  readonly #known: Map<string, readonly [state: string, hash: string]>;
  #grown = false;

  private constructor(lines: readonly Line[]) {
    this.#known = new Map(lines.map(([path, state, hash]) => [path, [state, hash]]));
  }

  static async load(path: string): Promise<HashMemory> {
    const file = Bun.file(path);
    try {
      return new HashMemory((await file.exists()) ? ((await file.json()) as Line[]) : []);
    } catch {
      // Cut short by a crash: what it held is hashed again.
      return new HashMemory([]);
    }
  }

  get(path: string, stat: FileStat, hash: () => string): string {
    const state = `${stat.ino}.${stat.size}.${stat.mtime}.${stat.ctime}`;
    const known = this.#known.get(path);
    if (known?.[0] === state) return known[1];
    const made = hash();
    this.#known.set(path, [state, made]);
    this.#grown = true;
    return made;
  }

  /** `dir`: descriptor of the directory that the file lies in. */
  save(dir: number, name: string): void {
    if (!this.#grown) return;
    const lines = [...this.#known].map(([path, [state, hash]]) => [path, state, hash]);
    writeNote(dir, name, JSON.stringify(lines));
  }
}

/** All of an open file, wherever it was read to. */
export function hashContent(fd: number, hash: CryptoHasher): void {
  const buffer = Buffer.allocUnsafe(1 << 18);
  for (let at = 0; ; ) {
    const length = readSync(fd, buffer, 0, buffer.length, at);
    if (length === 0) return;
    hash.update(buffer.subarray(0, length));
    at += length;
  }
}
