import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type { Result } from "../result.ts";
import type { BuildSnapshots } from "./step-snapshots.ts";

/** A result in somebody's hands: its record counts as in use, and the files it may have mounted stay. */
export class HeldResult implements Result {
  readonly key: Digest;
  readonly #steps: BuildSnapshots;
  readonly #snapshot: ChainId | undefined;
  readonly #hold: () => Disposable;
  readonly #held: Disposable[];

  constructor(steps: BuildSnapshots, key: Digest, snapshot: ChainId | undefined, hold: () => Disposable) {
    this.key = key;
    this.#steps = steps;
    this.#snapshot = snapshot;
    this.#hold = hold;
    this.#held = [hold(), steps.lease()];
  }

  get snapshot(): ChainId | undefined {
    return this.#snapshot === undefined ? undefined : this.#steps.current(this.#snapshot);
  }

  /** The same, held once more. */
  again(): HeldResult {
    return new HeldResult(this.#steps, this.key, this.snapshot, this.#hold);
  }

  /** More than once does nothing more. */
  [Symbol.dispose](): void {
    for (const held of this.#held.splice(0)) held[Symbol.dispose]();
  }
}
