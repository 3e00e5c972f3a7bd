import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { ContextEntry, ContextFiles, ReceiveRequest } from "../../session.ts";

/** A client that sends a directory of this machine, as BuildKit's does: in walking order, contents of what is wanted only. */
export class DirectoryFiles implements ContextFiles {
  /** Contents that were asked for, in all transfers. */
  readonly sent: string[] = [];
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async receive({ into, onProgress }: ReceiveRequest): Promise<void> {
    const wanted: string[] = [];
    for (const entry of entriesBelow(this.#directory)) if (into.entry(entry)) wanted.push(entry.path);
    let bytes = 0;
    for (const path of wanted) {
      const content = readFileSync(join(this.#directory, path));
      const half = content.length >> 1;
      if (half > 0) await into.content(path, content.subarray(0, half), false);
      await into.content(path, content.subarray(half), true);
      this.sent.push(path);
      bytes += content.length;
      onProgress(bytes);
    }
    await into.finish();
  }
}

export function* entriesBelow(directory: string, below = ""): Generator<ContextEntry> {
  for (const name of readdirSync(join(directory, below)).sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    const stat = lstatSync(join(directory, path), { bigint: true });
    yield {
      path,
      mode: Number(stat.mode),
      uid: 0,
      gid: 0,
      size: Number(stat.size),
      mtime: stat.mtimeNs,
      linkname: stat.isSymbolicLink() ? readlinkSync(join(directory, path)) : "",
      devmajor: 0,
      devminor: 0,
      xattrs: {},
    };
    if (stat.isDirectory()) yield* entriesBelow(directory, path);
  }
}
