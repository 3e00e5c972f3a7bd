import type { ChainId } from "../../../base/lib/ids.ts";
import type { ChangesOp } from "../../graph.ts";
import type { StepContext, StepRunner, StepSnapshots, WriteSnapshot } from "../runner.ts";
import type { BuildFilesHelper } from "./helper.ts";

export interface ChangesRunnerDeps {
  readonly helper: BuildFilesHelper;
  readonly snapshots: StepSnapshots;
  /** An existing empty directory: helpers mount over it, each in a mount namespace of its own. */
  readonly scratch: string;
}

/** LLB's merge and diff: what is different in one tree from another, put on a third. */
export class ChangesRunner implements StepRunner<ChangesOp> {
  readonly #deps: ChangesRunnerDeps;

  constructor(deps: ChangesRunnerDeps) {
    this.#deps = deps;
  }

  async run({ op, inputs, signal }: StepContext<ChangesOp>): Promise<ChainId> {
    const { helper, snapshots, scratch } = this.#deps;
    const snapshotOf = (index: number | undefined) =>
      index === undefined ? undefined : inputs[index]?.snapshot;
    const write: WriteSnapshot = async ({ mounts }) => {
      const lower = op.lower === undefined ? undefined : snapshots.view(snapshotOf(op.lower));
      const upper = snapshots.view(snapshotOf(op.upper));
      await helper.run({ op: "changes", scratch, root: mounts, lower, upper }, signal);
    };
    return await snapshots.make(snapshotOf(op.root), write, signal);
  }
}
