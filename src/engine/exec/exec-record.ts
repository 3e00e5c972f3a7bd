import type { ContainerId, ExecId } from "../../base/lib/ids.ts";
import type { ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import type { TaskDirs } from "../../core/runtime/runtime.ts";

/** What the next daemon must know of an exec. */
export interface ExecNote {
  readonly request: ExecCreateRequest;
  /** The daemon's own (a health check): nobody waits for it after a restart. */
  readonly own: boolean;
}

/**
 * One exec. Its process goes on when the daemon dies, under a monitor of its own; a note with the runtime's record of it lets the
 * next daemon answer for it. One that was never started is forgotten.
 */
export interface ExecRecord {
  readonly id: ExecId;
  readonly containerId: ContainerId;
  readonly request: ExecCreateRequest;
  readonly detachKeys: readonly number[];
  readonly dirs: TaskDirs;
  readonly own: boolean;
  state: "created" | "starting" | "running" | "ended";
  pid: number;
  exitCode: number | null;
  /** Resolved at the exit. */
  readonly ended: PromiseWithResolvers<number>;
  /** Monotonic nanoseconds of the end, for collection. */
  endedAt: bigint;
}
