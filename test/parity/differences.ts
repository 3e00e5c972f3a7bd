import type { Result } from "../harness/daemon.ts";

/** Where Tug differs from Debian's dockerd 20.10 on purpose: the step, why, and what Tug does instead. */
export interface Difference {
  readonly command: string;
  readonly why: string;
  readonly tug: Result;
}

export const differences: readonly Difference[] = [];
