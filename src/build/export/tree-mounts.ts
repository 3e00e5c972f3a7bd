import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ChainId, randomId } from "../../base/lib/ids.ts";
import { mountSpec, unmountIfMounted } from "../../base/sys/mount/mount.ts";
import { removeDirectory } from "../../base/sys/remove-tree.ts";
import { RootedDir } from "../../base/sys/rooted-dir.ts";
import type { StepSnapshots } from "../run/runner.ts";

export interface MountedTree {
  readonly name: string;
  readonly snapshot: ChainId | undefined;
  /** Put at the top of the tree, in place of what may have such a name there. */
  readonly files?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/** Somewhere to look at whole trees of layers while they are exported. */
export class TreeMounts {
  readonly #root: string;
  readonly #snapshots: Pick<StepSnapshots, "view" | "scratch">;

  /** `root`: a directory of the daemon's own, of this boot. */
  constructor(deps: { readonly root: string; readonly snapshots: Pick<StepSnapshots, "view" | "scratch"> }) {
    this.#root = deps.root;
    this.#snapshots = deps.snapshots;
  }

  /** Takes away what a daemon that was killed left mounted. */
  async recover(): Promise<void> {
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    for (const place of readdirSync(this.#root)) {
      for (const name of readdirSync(join(this.#root, place)))
        unmountIfMounted(join(this.#root, place, name));
      await removeDirectory(join(this.#root, place));
    }
  }

  /** The trees as they are, each in a directory of its name below `path`. Disposing takes them away; nothing written to them stays. */
  async open(trees: readonly MountedTree[]): Promise<{ readonly path: string } & AsyncDisposable> {
    await using stack = new AsyncDisposableStack();
    const place = join(this.#root, randomId().slice(0, 16));
    mkdirSync(place, { recursive: true, mode: 0o700 });
    stack.defer(() => rmdirSync(place));
    for (const { name, snapshot, files = [] } of trees) {
      const target = join(place, name);
      mkdirSync(target, { mode: 0o755 });
      // Only ever an empty directory: should a mount have stayed, its files stay, too.
      stack.defer(() => rmdirSync(target));
      const mounts =
        files.length === 0
          ? this.#snapshots.view(snapshot)
          : stack.use(await this.#snapshots.scratch(snapshot)).mounts;
      stack.defer(() => void unmountIfMounted(target));
      for (const part of mounts) mountSpec(part, target);
      if (files.length === 0) continue;
      using root = RootedDir.open(target);
      for (const file of files) {
        root.removeAll(`/${file.name}`);
        writeFileSync(join(target, file.name), file.bytes, { mode: 0o644, flag: "wx" });
      }
    }
    const owned = stack.move();
    return { path: place, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }
}
