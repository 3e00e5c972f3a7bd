import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { ContentKeys, StepSnapshots } from "../runner.ts";
import { inSlices } from "../slices.ts";
import type { KeptTrees } from "../sources/kept-trees.ts";
import type { BuildFilesHelper } from "./helper.ts";
import { isUnfinishedNote } from "./note-file.ts";
import type { Selection } from "./protocol.ts";
import { digestSelection } from "./selection/content-digest.ts";

export interface ContentKeysDeps {
  readonly helper: BuildFilesHelper;
  readonly snapshots: StepSnapshots;
  /** Trees of contexts: what is in them is remembered, so nothing of theirs is read. */
  readonly trees: KeptTrees;
  /** As for `FileRunner`. */
  readonly scratch: string;
  /** A directory of its own below the data root: what was hashed of each snapshot. */
  readonly root: string;
}

/** Digests remembered in memory. */
const limit = 4096;

export class SnapshotContentKeys implements ContentKeys {
  readonly #deps: ContentKeysDeps;
  readonly #known = new Map<string, Digest>();

  constructor(deps: ContentKeysDeps) {
    this.#deps = deps;
    mkdirSync(deps.root, { recursive: true, mode: 0o700 });
    // Of a killed daemon's helpers; none of ours writes yet.
    for (const name of readdirSync(deps.root)) if (isUnfinishedNote(name)) this.#forget(name);
  }

  async digest(snapshot: ChainId | undefined, selection: Selection, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted();
    const { sources, wildcard, exclude, parents } = selection;
    const asked: Selection = { sources, wildcard, exclude, parents };
    const key = JSON.stringify([snapshot ?? "", asked]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const digest = await this.#make(snapshot, asked, signal);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= limit && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(key, digest);
    return digest;
  }

  /** Forgets what was hashed of snapshots that are gone. */
  prune(isThere: (snapshot: ChainId) => boolean): void {
    for (const name of readdirSync(this.#deps.root)) {
      if (!isUnfinishedNote(name) && !isThere(decodeURIComponent(name) as ChainId)) this.#forget(name);
    }
  }

  #forget(name: string): void {
    rmSync(join(this.#deps.root, name), { force: true });
  }

  async #make(snapshot: ChainId | undefined, selection: Selection, signal: AbortSignal): Promise<Digest> {
    const { helper, snapshots, scratch, root, trees } = this.#deps;
    if (snapshot === undefined) return digestOf(JSON.stringify(selection));
    const kept = trees.read(snapshot);
    if (kept) return await inSlices(digestSelection(kept, selection), signal);
    const { digest } = await helper.run(
      {
        op: "digest",
        scratch,
        tree: snapshots.view(snapshot),
        selection,
        cache: join(root, encodeURIComponent(snapshot)),
      },
      signal,
    );
    if (digest === undefined) throw internal("the build's files helper told no digest");
    return digest;
  }
}
