import type { ChainId } from "../../../base/lib/ids.ts";
import type { Mount, SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import type { BuildFilesHelper } from "../file/helper.ts";
import type { ActiveStep, StepSnapshots, WriteSnapshot } from "../runner.ts";
import { isKeptTree, type KeptTrees } from "./kept-trees.ts";

export interface KeptSnapshotsDeps {
  readonly snapshots: StepSnapshots;
  readonly trees: KeptTrees;
  readonly helper: BuildFilesHelper;
}

/** Snapshots as steps see them: those of the store, and kept trees, which can be read as they are and are copied to be built upon. */
export function withKeptTrees(deps: KeptSnapshotsDeps): StepSnapshots {
  return new KeptSnapshots(deps);
}

class KeptSnapshots implements StepSnapshots {
  readonly #deps: KeptSnapshotsDeps;

  constructor(deps: KeptSnapshotsDeps) {
    this.#deps = deps;
  }

  async make(parent: ChainId | undefined, write: WriteSnapshot, signal?: AbortSignal): Promise<ChainId> {
    await using base = await this.#base(parent, signal);
    const made = await this.#deps.snapshots.make(base.snapshot, write);
    base.keep();
    return made;
  }

  async discard(snapshot: ChainId): Promise<void> {
    await this.#deps.snapshots.discard(snapshot);
  }

  async scratch(parent: ChainId | undefined, signal?: AbortSignal): Promise<ActiveStep & AsyncDisposable> {
    await using stack = new AsyncDisposableStack();
    const base = stack.use(await this.#base(parent, signal));
    const active = stack.use(await this.#deps.snapshots.scratch(base.snapshot));
    const owned = stack.move();
    return { ...active, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  view(snapshot: ChainId | undefined): readonly Mount[] {
    if (snapshot === undefined || !isKeptTree(snapshot)) return this.#deps.snapshots.view(snapshot);
    return [{ type: "bind", source: this.#deps.trees.path(snapshot), options: ["ro"] }];
  }

  layout(snapshot: ChainId): SnapshotLayout {
    if (!isKeptTree(snapshot)) return this.#deps.snapshots.layout(snapshot);
    return { kind: "tree", tree: this.#deps.trees.path(snapshot), parent: undefined };
  }

  filesShared(...paths: readonly string[]): void {
    this.#deps.snapshots.filesShared(...paths);
  }

  /**
   * A context that is built upon becomes a snapshot, of hard links, as neither is ever written to in place. It goes when nothing came to
   * stand on it.
   */
  async #base(
    parent: ChainId | undefined,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Base> {
    const nothing = { keep: () => undefined, [Symbol.asyncDispose]: async () => undefined };
    if (parent === undefined || !isKeptTree(parent)) return { snapshot: parent, ...nothing };
    const { snapshots, trees, helper } = this.#deps;
    using tree = trees.hold(parent);
    const snapshot = await snapshots.make(undefined, async ({ layout }) => {
      const into = layout.kind === "overlay" ? layout.upper : layout.tree;
      await helper.run({ op: "restack", layer: tree.path, into }, signal);
    });
    let kept = false;
    return {
      snapshot,
      keep: () => {
        kept = true;
      },
      [Symbol.asyncDispose]: async () => {
        if (!kept) await snapshots.discard(snapshot);
      },
    };
  }
}

/** What a new snapshot stands on. */
interface Base extends AsyncDisposable {
  readonly snapshot: ChainId | undefined;
  /** It stays, for the sake of what stands on it. */
  keep(): void;
}
