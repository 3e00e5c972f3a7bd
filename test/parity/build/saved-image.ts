import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TarEntry } from "../../../src/base/lib/tar/entry.ts";
import { type TarHandler, TarParser } from "../../../src/base/lib/tar/parser.ts";

/** One line for each file of an image: type, mode, owner, size or target, and what is in it. */
export type Listing = Readonly<Record<string, string>>;

export interface SavedImage {
  readonly config: Record<string, unknown>;
  readonly files: Listing;
}

/** Reads what `docker save` wrote, unpacked into `folder`: its layers put on each other (image-spec, layer.md). */
export function readSaved(folder: string): SavedImage {
  const [manifest] = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
    Config: string;
    Layers: string[];
  }[];
  if (!manifest) throw new Error("manifest.json is empty");
  const tree = new Tree();
  for (const layer of manifest.Layers) {
    let bytes: Uint8Array = readFileSync(join(folder, layer));
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
    const parser = new TarParser(tree);
    parser.push(bytes);
    parser.finish();
    tree.endLayer();
  }
  return { config: JSON.parse(readFileSync(join(folder, manifest.Config), "utf8")), files: tree.listing() };
}

class Tree implements TarHandler {
  readonly #nodes = new Map<string, string>();
  readonly #fresh = new Set<string>();
  #entry: TarEntry | undefined;
  #hash = createHash("sha256");

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#hash = createHash("sha256");
  }

  data(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  end(): void {
    const entry = this.#entry;
    if (!entry) return;
    const path = entry.path.replace(/^\.?\//, "").replace(/\/$/, "");
    const slash = path.lastIndexOf("/") + 1;
    const name = path.slice(slash);
    if (name === ".wh..wh..opq") this.#drop(path.slice(0, Math.max(0, slash - 1)), false);
    else if (name.startsWith(".wh.")) this.#drop(path.slice(0, slash) + name.slice(".wh.".length), true);
    else this.#place(entry, path);
  }

  #place(entry: TarEntry, path: string): void {
    if (entry.kind !== "directory") this.#drop(path, true);
    this.#fresh.add(path);
    if (entry.kind === "link") {
      this.#nodes.set(
        path,
        this.#nodes.get(entry.linkPath.replace(/^\.?\//, "")) ?? `link to ${entry.linkPath}`,
      );
      return;
    }
    const what =
      entry.kind === "file"
        ? `${entry.size} ${this.#hash.digest("hex").slice(0, 16)}`
        : entry.kind === "symlink"
          ? entry.linkPath
          : entry.kind === "char" || entry.kind === "block"
            ? `${entry.deviceMajor},${entry.deviceMinor}`
            : "";
    const mode = (entry.mode & 0o7777).toString(8);
    this.#nodes.set(path, `${entry.kind} ${mode} ${entry.uid}:${entry.gid} ${what}`.trim());
  }

  endLayer(): void {
    this.#fresh.clear();
  }

  /** What this layer itself brought stays. */
  #drop(path: string, itself: boolean): void {
    const below = path === "" ? "" : `${path}/`;
    for (const known of [...this.#nodes.keys()]) {
      if (this.#fresh.has(known)) continue;
      if ((itself && known === path) || known.startsWith(below)) this.#nodes.delete(known);
    }
  }

  listing(): Listing {
    return Object.fromEntries([...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
