import type { RecordType } from "./records.ts";

/** A line of `builder du`: a kept result, or what somebody else keeps for builds. */
export interface CacheEntry {
  readonly id: string;
  readonly parents: readonly string[];
  readonly type: RecordType;
  readonly description: string;
  readonly inUse: boolean;
  /** An image has it, too: removing it here frees nothing. */
  readonly shared: boolean;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** undefined: never. */
  readonly used: number | undefined;
  readonly uses: number;
}

/** What is kept for builds outside the solver's records (cache mounts, transferred contexts): listed and pruned with them. */
export interface CacheObjects {
  list(): Promise<readonly CacheEntry[]>;
  /** False: it is in use, or gone. Ids of other owners are not theirs to touch. */
  remove(id: string): Promise<boolean>;
  /** Snapshots made with `StepSnapshots.make` that are theirs to keep. */
  readonly snapshots?: () => Iterable<string>;
}
