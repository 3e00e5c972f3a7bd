import { type FileHandle, open, readdir, stat, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf, storageError } from "../../base/lib/storage-error.ts";
import type { Piece, Pieces } from "./content.ts";

/**
 * Pieces as files beside the partial they are for: `<partial>.<from>`, appended to only, so that a file's size says what it holds and
 * nothing else has to be recorded: whatever kills the writer, the next one finds how far each piece came.
 */
export class PieceFiles implements Pieces {
  readonly #partial: string;
  readonly #open = new Map<number, FileHandle>();

  /** `partial`: path of the ingest's own file. */
  constructor(partial: string) {
    this.#partial = partial;
  }

  async list(): Promise<readonly Piece[]> {
    const prefix = `${basename(this.#partial)}.`;
    const found: Piece[] = [];
    for (const name of await readdir(dirname(this.#partial))) {
      const from = name.startsWith(prefix) ? name.slice(prefix.length) : "";
      if (!/^[0-9]{1,15}$/.test(from)) continue;
      const { size } = await stat(join(dirname(this.#partial), name));
      found.push({ from: Number(from), size });
    }
    return found.sort((a, b) => a.from - b.from);
  }

  async append(from: number, chunk: Uint8Array): Promise<void> {
    const file = await this.#file(from);
    try {
      for (let at = 0; at < chunk.byteLength; ) {
        at += (await file.write(chunk, at, chunk.byteLength - at)).bytesWritten;
      }
    } catch (error) {
      throw storageError(error, "write", this.#path(from));
    }
  }

  async read(from: number, into: Uint8Array, at: number): Promise<number> {
    return (await (await this.#file(from)).read(into, 0, into.byteLength, at)).bytesRead;
  }

  async remove(from: number): Promise<void> {
    const file = this.#open.get(from);
    this.#open.delete(from);
    await file?.close();
    await unlink(this.#path(from)).catch((error: unknown) => {
      if (errnoOf(error) !== "ENOENT") throw storageError(error, "remove", this.#path(from));
    });
  }

  async clear(): Promise<void> {
    for (const { from } of await this.list()) await this.remove(from);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    for (const file of files) await file.close();
  }

  async #file(from: number): Promise<FileHandle> {
    const known = this.#open.get(from);
    if (known) return known;
    const file = await open(this.#path(from), "a+", 0o600).catch((error: unknown) => {
      throw storageError(error, "open", this.#path(from));
    });
    this.#open.set(from, file);
    return file;
  }

  #path(from: number): string {
    return `${this.#partial}.${from}`;
  }
}
