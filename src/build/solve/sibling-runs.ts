import { abortable } from "../../base/lib/abort.ts";
import type { Digest } from "../../base/lib/ids.ts";
import { digestOfValue } from "../canonical.ts";
import type { ExecOp } from "../graph.ts";
import type { HeldResult } from "./held-result.ts";

/** What one run made, by output (`ExecOp.kept`). */
export type Outputs = ReadonlyMap<number, HeldResult>;

interface Group {
  users: number;
  running: Promise<Outputs> | undefined;
}

/** Steps that are outputs of one run: whichever comes first runs it, for all of those that builds have at that time. */
export class SiblingRuns {
  readonly #groups = new Map<Digest, Group>();

  /** Runs, or takes what a sibling ran. Its results stay until all that joined were disposed of. */
  join(
    key: Digest,
  ): Disposable & { run(signal: AbortSignal, work: () => Promise<Outputs>): Promise<Outputs> } {
    const group = this.#groups.get(key) ?? { users: 0, running: undefined };
    this.#groups.set(key, group);
    group.users++;
    return {
      run: (signal, work) => take(group, signal, work),
      [Symbol.dispose]: () => {
        if (--group.users > 0) return;
        this.#groups.delete(key);
        group.running?.then(
          (outputs) => {
            for (const output of outputs.values()) output[Symbol.dispose]();
          },
          () => undefined, // told to who ran it
        );
      },
    };
  }
}

async function take(group: Group, signal: AbortSignal, work: () => Promise<Outputs>): Promise<Outputs> {
  for (;;) {
    const before = group.running;
    if (!before) {
      const mine = work();
      group.running = mine;
      try {
        return await mine;
      } catch (error) {
        if (group.running === mine) group.running = undefined;
        throw error;
      }
    }
    const outcome = await abortable(
      before.then(
        (outputs) => outputs,
        () => undefined,
      ),
      signal,
    );
    if (outcome) return outcome;
    // It failed, or its builds gave it up: why, this one finds out by itself.
    if (group.running === before) group.running = undefined;
  }
}

/** Undefined for a step that makes one tree. */
export function siblingKey(op: ExecOp, inputs: readonly Digest[]): Digest | undefined {
  if ((op.kept?.length ?? 0) < 2) return undefined;
  return digestOfValue({ siblings: { ...op, result: undefined }, inputs });
}
