import { internal } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import type { SnapshotLayout } from "../../../core/snapshot/snapshotter.ts";
import type { RestackOp } from "../../graph.ts";
import type { StepContext, StepRunner, StepSnapshots, WriteSnapshot } from "../runner.ts";
import { manyLowers } from "./file-runner.ts";
import type { BuildFilesHelper } from "./helper.ts";

export interface RestackRunnerDeps {
  readonly helper: BuildFilesHelper;
  readonly snapshots: StepSnapshots;
}

/** COPY --link: what a copy made on nothing, put on a root that it knows nothing of. */
export class RestackRunner implements StepRunner<RestackOp> {
  readonly #deps: RestackRunnerDeps;

  constructor(deps: RestackRunnerDeps) {
    this.#deps = deps;
  }

  async run(step: StepContext<RestackOp>): Promise<ChainId | undefined> {
    const { snapshots, helper } = this.#deps;
    const root = step.op.root === undefined ? undefined : step.inputs[step.op.root]?.snapshot;
    const layer = step.inputs[step.op.layer]?.snapshot;
    // On nothing the layer is the whole.
    if (root === undefined) return layer;
    const write: WriteSnapshot = async ({ layout }, completeWith) => {
      if (layer === undefined) return;
      const files = wholeTree(snapshots.layout(layer));
      if (isStacked(layout)) return completeWith(files);
      const into = ownFiles(layout);
      const { linked } = await helper.run({ op: "restack", layer: files, into }, step.signal);
      if (linked !== undefined) snapshots.filesShared(linked, into);
    };
    return await snapshots.make(root, write, step.signal);
  }
}

/**
 * What is put on top is a directory of the mount as it is: nothing is copied, and its files have the names that they had. With several names gzip and xz
 * leave a file alone.
 */
function isStacked(layout: SnapshotLayout): boolean {
  return layout.kind === "overlay" && layout.lowers.length < manyLowers;
}

/** The layer was made on nothing, so its own files are all of it. */
function wholeTree(layout: SnapshotLayout): string {
  if (layout.kind === "tree") return layout.tree;
  if (layout.lowers.length > 0 || layout.base !== undefined)
    throw internal("a layer to be put on another root has parents");
  return layout.upper;
}

function ownFiles(layout: SnapshotLayout): string {
  return layout.kind === "overlay" ? layout.upper : layout.tree;
}
