import type { ChainId } from "../../../base/lib/ids.ts";
import type { ExecOp } from "../../graph.ts";
import type { ActiveStep, StepContext, StepSnapshots } from "../runner.ts";
import { snapshotOf } from "./mount-context.ts";

/** Runs a step with a new snapshot for each tree that it keeps (`ExecOp.kept`), and commits them when it succeeded. */
export async function makeKept(
  snapshots: Pick<StepSnapshots, "make" | "discard">,
  step: StepContext<ExecOp>,
  run: (kept: ReadonlyMap<number, ActiveStep>) => Promise<void>,
): Promise<ReadonlyMap<number, ChainId>> {
  const { op } = step;
  const actives = new Map<number, ActiveStep>();
  const made = new Map<number, ChainId>();
  const make = async (rest: readonly number[]): Promise<void> => {
    const [mount, ...more] = rest;
    if (mount === undefined) {
      await run(actives);
      return;
    }
    const bound = op.mounts[mount];
    const below = mount === -1 ? op.root : bound?.kind === "bind" ? bound.from : undefined;
    const write = async (active: ActiveStep) => {
      actives.set(mount, active);
      await make(more);
    };
    const snapshot = await snapshots.make(snapshotOf(step, below), write, step.signal);
    made.set(mount, snapshot);
  };
  try {
    await make(op.kept ?? [-1]);
    return made;
  } catch (error) {
    // The inner ones are committed before the outer ones.
    for (const snapshot of made.values()) await snapshots.discard(snapshot);
    throw error;
  }
}
