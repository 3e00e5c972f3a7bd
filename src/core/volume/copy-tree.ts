import { closeFd, linkat, mkdirat, O, openat } from "../../base/sys/at.ts";
import { copyFileInSteps, copySpecial, dressAs } from "../../base/sys/copy-node.ts";
import { type FileStat, lstatat, readDirectory } from "../../base/sys/stat.ts";

/** How long one stretch of copying may hold the event loop. */
const sliceMs = 5;
const step = 4 << 20;

/**
 * Copies a directory tree between two open directories: contents, owners, modes, times, extended attributes, hard links within the tree,
 * device nodes, and the top directory's own owner and mode. Names are handled one component at a time relative to
 * descriptors, so no symbolic link on either side is ever followed. It gives way to the event loop every few milliseconds.
 */
export class TreeCopy {
  /** First place of each file with several links, as a path below the destination's top. */
  readonly #links = new Map<string, { readonly dir: number; readonly name: string }>();
  readonly #open: number[] = [];
  #made = 0;
  #sliceEnd = performance.now() + sliceMs;

  /** Returns how many nodes it made. */
  async run(from: number, to: number): Promise<number> {
    try {
      await this.#directory(from, to, lstatat(from));
      return this.#made;
    } finally {
      for (const fd of this.#open) closeFd(fd);
    }
  }

  async #directory(from: number, to: number, stat: FileStat): Promise<void> {
    for (const { name } of readDirectory(from)) {
      await this.#breathe();
      this.#made++;
      await this.#node(from, to, name, lstatat(from, name));
    }
    dressAs(from, to, stat);
  }

  async #node(from: number, to: number, name: string, stat: FileStat): Promise<void> {
    if (stat.kind === "directory") return await this.#subdirectory(from, to, name, stat);
    if (stat.nlink > 1) {
      const key = `${stat.device} ${stat.ino}`;
      const first = this.#links.get(key);
      if (first) return linkat(first.dir, first.name, to, name);
      this.#links.set(key, { dir: this.#keep(to), name });
    }
    if (stat.kind === "file") {
      for (const _ of copyFileInSteps(from, name, to, name, stat, step)) await this.#breathe();
      return;
    }
    // A socket without its listener is nothing.
    if (stat.kind !== "socket") copySpecial(from, name, to, name, stat);
  }

  async #subdirectory(from: number, to: number, name: string, stat: FileStat): Promise<void> {
    const source = openat(from, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      mkdirat(to, name, 0o700);
      const target = openat(to, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
      try {
        await this.#directory(source, target, stat);
      } finally {
        closeFd(target);
      }
    } finally {
      closeFd(source);
    }
  }

  /** A descriptor of the directory that lives as long as the copy, for links to be made from. */
  #keep(dir: number): number {
    const fd = openat(dir, ".", O.PATH | O.DIRECTORY);
    this.#open.push(fd);
    return fd;
  }

  async #breathe(): Promise<void> {
    if (performance.now() < this.#sliceEnd) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#sliceEnd = performance.now() + sliceMs;
  }
}
