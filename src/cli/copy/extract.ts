import {
  chmodSync,
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { invalid } from "../../base/lib/errors.ts";
import type { TarEntry } from "../../base/lib/tar/entry.ts";
import { TarParser } from "../../base/lib/tar/parser.ts";
import { makeNode } from "../../client/make-node.ts";

/**
 * Unpacks an archive that a container made, and that is therefore not to be trusted, below `folder`. No name leads out of it:
 * ".." is refused, and no step of a path may be a symbolic link, whether the archive brought it or it was there before.
 */
export async function extractTree(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
  rename: (name: string) => string,
): Promise<void> {
  const target = new Extraction(folder, rename);
  const parser = new TarParser(target);
  for await (const chunk of chunks) parser.push(chunk);
  parser.finish();
  await target.finish();
}

const seconds = (nanos: bigint) => Number(nanos / 1000n) / 1e6;

class Extraction {
  readonly #folder: string;
  readonly #rename: (name: string) => string;
  /** Folders known to be real ones. */
  readonly #real = new Set<string>([""]);
  readonly #folders: { path: string; mtime: bigint; mode: number }[] = [];
  readonly #special: (() => Promise<void>)[] = [];
  #fd: number | undefined;
  #entry: TarEntry | undefined;

  constructor(folder: string, rename: (name: string) => string) {
    this.#folder = folder;
    this.#rename = rename;
  }

  entry(entry: TarEntry): void {
    const name = this.#inside(this.#rename(entry.path));
    this.#entry = entry;
    if (name === "") {
      if (entry.kind !== "directory") throw invalid(`invalid name in archive: ${entry.path}`);
      return; // the destination itself
    }
    this.#parents(name);
    const path = join(this.#folder, name);
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (entry.kind === "directory") {
      this.#directory(name, path, entry, there?.isDirectory() ?? undefined);
      return;
    }
    if (there?.isDirectory())
      throw invalid(
        `cannot overwrite directory ${JSON.stringify(path)} with non-directory ${JSON.stringify(this.#folder)}`,
      );
    if (there) rmSync(path);
    this.#real.delete(name);
    switch (entry.kind) {
      case "file":
        this.#fd = openSync(path, "wx", 0o600);
        return;
      case "symlink":
        symlinkSync(entry.linkPath, path);
        lutimesSync(path, seconds(entry.mtime), seconds(entry.mtime));
        return;
      case "link": {
        const source = this.#inside(this.#rename(entry.linkPath));
        this.#parents(source);
        linkSync(join(this.#folder, source), path);
        return;
      }
      case "char":
        this.#special.push(() => makeNode(path, entry.mode, "c", numbersOf(entry)));
        return;
      case "block":
        this.#special.push(() => makeNode(path, entry.mode, "b", numbersOf(entry)));
        return;
      case "fifo":
        this.#special.push(() => makeNode(path, entry.mode, "p"));
        return;
      case "unknown":
        throw invalid(`unhandled tar header type ${entry.typeflag}`);
    }
  }

  data(chunk: Uint8Array, offset: number): void {
    if (this.#fd === undefined) return;
    for (let at = 0; at < chunk.length; )
      at += writeSync(this.#fd, chunk, at, chunk.length - at, offset + at);
  }

  end(): void {
    const fd = this.#fd;
    const entry = this.#entry;
    if (fd === undefined || !entry) return;
    this.#fd = undefined;
    try {
      fchmodSync(fd, entry.mode & 0o7777);
      futimesSync(fd, seconds(entry.mtime), seconds(entry.mtime));
    } finally {
      closeSync(fd);
    }
  }

  /** Folders get mode and time last: filling them needs the one and changes the other. */
  async finish(): Promise<void> {
    for (const make of this.#special) await make();
    for (const { path, mtime, mode } of this.#folders.reverse()) {
      chmodSync(path, mode);
      utimesSync(path, seconds(mtime), seconds(mtime));
    }
  }

  #directory(name: string, path: string, entry: TarEntry, isDirectory: boolean | undefined): void {
    if (isDirectory === false) {
      throw invalid(
        `cannot overwrite non-directory ${JSON.stringify(path)} with directory ${JSON.stringify(this.#folder)}`,
      );
    }
    if (isDirectory === undefined) mkdirSync(path, 0o700);
    this.#real.add(name);
    this.#folders.push({ path, mtime: entry.mtime, mode: entry.mode & 0o7777 });
  }

  /** The name below the folder, without "." and empty steps; ".." is refused. */
  #inside(name: string): string {
    const steps = name.split("/").filter((step) => step !== "" && step !== ".");
    if (steps.includes("..") || name.includes("\0")) throw invalid(`invalid name in archive: ${name}`);
    return steps.join("/");
  }

  #parents(name: string): void {
    const steps = name.split("/").slice(0, -1);
    for (let count = 1; count <= steps.length; count++) {
      const parent = steps.slice(0, count).join("/");
      if (this.#real.has(parent)) continue;
      const path = join(this.#folder, parent);
      const info = lstatSync(path, { throwIfNoEntry: false });
      if (!info) mkdirSync(path, 0o755);
      else if (!info.isDirectory())
        throw invalid(`refusing to write through ${JSON.stringify(path)}, which is not a directory`);
      this.#real.add(parent);
    }
  }
}

const numbersOf = ({ deviceMajor, deviceMinor }: TarEntry) => [deviceMajor, deviceMinor];
