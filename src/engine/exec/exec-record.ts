import type { ContainerId, ExecId } from "../../base/lib/ids.ts";
import type { TaskDirs } from "../../core/runtime/runtime.ts";

/** What a client asks for; the wire's ExecConfig. */
export interface ExecRequest {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ConsoleSize?: readonly [number, number] | null;
  readonly DetachKeys?: string;
  readonly Tty?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
}

/**
 * One exec. It lives in memory only: the process goes on when the daemon dies, under a monitor of its own, but who asked
 * for it has lost the connection anyway.
 */
export interface ExecRecord {
  readonly id: ExecId;
  readonly containerId: ContainerId;
  readonly request: ExecRequest;
  readonly detachKeys: readonly number[];
  readonly dirs: TaskDirs;
  state: "created" | "starting" | "running" | "ended";
  pid: number;
  exitCode: number | null;
  /** Resolved at the exit. */
  readonly ended: PromiseWithResolvers<number>;
  /** Milliseconds since the epoch of the end, for collection. */
  endedAt: number;
}
