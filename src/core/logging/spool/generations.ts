import { existsSync, linkSync, lstatSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../../base/lib/storage-error.ts";

/** conmon writes here. */
const currentName = "ctr.log";
/** Our own link to the file conmon writes: it keeps the data when conmon replaces the file at its hard limit. */
const keepName = "ctr.log.keep";
const rotatedName = /^ctr\.log\.(\d+)(\.zst)?$/;

export interface Generation {
  readonly seq: number;
  readonly path: string;
  readonly compressed: boolean;
}

/**
 * The files of one spool. Generations are numbered in the order they were written; the current one has the next number and no number in
 * its name. What is on disk is the state: `open` makes sense of whatever a crash left.
 */
export class Generations {
  readonly #directory: string;
  readonly #rotated: Generation[] = [];
  #currentInode = 0;

  constructor(directory: string) {
    this.#directory = directory;
    const names = readdirSync(directory);
    for (const name of names) {
      const match = rotatedName.exec(name);
      if (!match) {
        if (/^ctr\.log\.\d+\.zst\.tmp$/.test(name)) rmSync(join(directory, name), { force: true });
        continue;
      }
      const compressed = match[2] !== undefined;
      // A crash between the compressed file's rename and the plain one's removal.
      if (!compressed && names.includes(`${name}.zst`)) rmSync(join(directory, name), { force: true });
      else this.#rotated.push({ seq: Number(match[1]), path: join(directory, name), compressed });
    }
    this.#rotated.sort((a, b) => a.seq - b.seq);
    this.adoptReplaced();
  }

  get currentPath(): string {
    return join(this.#directory, currentName);
  }

  get currentSeq(): number {
    return (this.#rotated.at(-1)?.seq ?? 0) + 1;
  }

  get currentInode(): number {
    return this.#currentInode;
  }

  get rotated(): readonly Generation[] {
    return this.#rotated;
  }

  /** The oldest generation that is not before `seq`; undefined: only the current one is. */
  from(seq: number): Generation | undefined {
    return this.#rotated.find((generation) => generation.seq >= seq);
  }

  /**
   * Looks whether conmon put a new file in the current one's place without being asked, and if so takes our link to the old one as a
   * rotated generation. True when there was one.
   */
  adoptReplaced(): boolean {
    const keep = join(this.#directory, keepName);
    const now = inodeOf(this.currentPath);
    const held = inodeOf(keep);
    if (now === undefined) return false;
    let adopted = false;
    if (held !== undefined && held !== now) {
      if (this.#rotated.some((one) => inodeOf(one.path) === held)) rmSync(keep, { force: true });
      else {
        const seq = this.currentSeq;
        const path = join(this.#directory, `${currentName}.${seq}`);
        renameSync(keep, path);
        this.#rotated.push({ seq, path, compressed: false });
        adopted = true;
      }
    }
    this.#hold(now);
    return adopted;
  }

  /** Renames the current file; conmon goes on writing to it until it reopens. `settle` or `undo` follows. */
  begin(): Generation {
    const seq = this.currentSeq;
    const generation = { seq, path: join(this.#directory, `${currentName}.${seq}`), compressed: false };
    renameSync(this.currentPath, generation.path);
    return generation;
  }

  /** True once conmon has made its new file. */
  reopened(): boolean {
    return existsSync(this.currentPath);
  }

  settle(generation: Generation): void {
    this.#rotated.push(generation);
    rmSync(join(this.#directory, keepName), { force: true });
    const now = inodeOf(this.currentPath);
    if (now !== undefined) this.#hold(now);
  }

  /** Nobody reopened: the file gets its name back. False when a new one came after all. */
  undo(generation: Generation): boolean {
    try {
      linkSync(generation.path, this.currentPath);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      return false;
    }
    rmSync(generation.path, { force: true });
    return true;
  }

  /** The newest plain generation, when there is no current file: a crash fell between rename and reopen. */
  interrupted(): Generation | undefined {
    const last = this.#rotated.at(-1);
    return this.reopened() || !last || last.compressed ? undefined : last;
  }

  /** Takes it back among those that are being written. */
  resume(generation: Generation): void {
    this.#rotated.splice(this.#rotated.indexOf(generation), 1);
  }

  replaceByCompressed(generation: Generation, path: string): void {
    const at = this.#rotated.indexOf(generation);
    if (at < 0) {
      rmSync(path, { force: true });
      return;
    }
    const final = `${generation.path}.zst`;
    renameSync(path, final);
    this.#rotated[at] = { seq: generation.seq, path: final, compressed: true };
    rmSync(generation.path, { force: true });
  }

  /** Keeps the newest `count` rotated generations, and those from `needed` on up to `limit` in all. */
  prune(count: number, needed = Number.POSITIVE_INFINITY, limit = count): void {
    for (let oldest = this.#rotated[0]; oldest; oldest = this.#rotated[0]) {
      const { length } = this.#rotated;
      if (length <= count || (length <= limit && oldest.seq >= needed)) return;
      this.#rotated.shift();
      rmSync(oldest.path, { force: true });
    }
  }

  removeAll(): void {
    for (const name of readdirSync(this.#directory)) {
      if (name === currentName || name.startsWith(`${currentName}.`)) {
        rmSync(join(this.#directory, name), { force: true });
      }
    }
    this.#rotated.length = 0;
  }

  #hold(inode: number): void {
    this.#currentInode = inode;
    const keep = join(this.#directory, keepName);
    if (inodeOf(keep) === inode) return;
    rmSync(keep, { force: true });
    try {
      linkSync(this.currentPath, keep);
    } catch (error) {
      // A file system without hard links, or a full one, only loses this second line of defence.
      if (!["EPERM", "EOPNOTSUPP", "EMLINK", "ENOENT", "ENOSPC", "EDQUOT"].includes(errnoOf(error) ?? ""))
        throw error;
    }
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
