import type { CgroupPaths } from "../../base/sys/cgroup/cgroup.ts";

/**
 * The runtime: an OCI runtime (crun, runc) that isolates, under a monitor (conmon) that outlives the daemon, holds the
 * container's stdio and pty, writes its log and records its exit status in a file.
 *
 * `create` leaves the container created (its init waits before exec), so that the network can be plumbed into its
 * namespaces by pid; `start` lets it run. Exits arrive through `onExit` while the daemon lives and through `observe` after
 * it was away. All state needed to find a task again lies in `TaskDirs`; nothing is only in memory.
 */
export interface TaskRuntime {
  /** Runtime name as `info` and HostConfig.Runtime say it, e.g. "crun". */
  readonly name: string;
  /** Writes config.json, spawns the monitor, waits for the pid. Failure leaves nothing; throws runtime-command with Docker's text. */
  create(task: NewTask): Promise<RunningTask>;
  start(id: string): Promise<void>;
  /** `all` signals every process of the cgroup. Throws conflict when it is not running. */
  kill(id: string, signal: number, options?: { readonly all?: boolean }): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  update(id: string, resources: OciResources): Promise<void>;
  /** Removes the runtime's own state after the exit (crun delete); kills leftovers with force. Idempotent. */
  delete(id: string, options: { readonly force: boolean }): Promise<void>;
  /** What became of a task, from disk and kernel: used after a daemon restart. An exec's `note` comes with it. */
  observe(id: string, dirs: TaskDirs): Promise<TaskObservation & { readonly note?: string }>;
  /** Runs another process in the container under a monitor of its own; its exit comes through `onExit` by the exec's id. */
  exec(task: NewExec): Promise<RunningExec>;
  /** Writes the processes' state into `image` through CRIU; not-implemented where the runtime was built without it. */
  checkpoint(id: string, options: { readonly image: string; readonly leaveRunning: boolean }): Promise<void>;
  /** Pids of the container's cgroup, as seen from the host. */
  pids(id: string): Promise<readonly number[]>;
  /** The container's cgroup directories, for `stats`. */
  cgroups(id: string): CgroupPaths;
  /** Opens the monitor's attach socket. Without `stdin` the client only watches: its end never ends the container's stdin. */
  attach(dirs: TaskDirs, options?: { readonly stdin: boolean }): Promise<TaskStreams>;
  /** Rows and columns of the pty. */
  resize(dirs: TaskDirs, size: { readonly rows: number; readonly columns: number }): Promise<void>;
  /** Tells the monitor to reopen its log file (after rotation). */
  reopenLog(dirs: TaskDirs): Promise<void>;
  /** Called once for each task of this daemon's life when its monitor recorded its exit. */
  onExit(listener: (exit: TaskExit) => void): Disposable;
  /** Called at the first OOM kill in a container's cgroup, be it the init or a child of it. */
  onOom(listener: (oom: TaskOom) => void): Disposable;
}

/**
 * Where a task's files lie. `state` (exec root, volatile) holds all that the runtime needs: the OCI bundle, the monitor's
 * socket and fifos, the exit. `bundle` (data root) is the engine's and is not touched.
 */
export interface TaskDirs {
  readonly bundle: string;
  readonly state: string;
}

export interface NewTask {
  readonly id: string;
  readonly dirs: TaskDirs;
  readonly spec: OciSpec;
  readonly rootfs: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** Stdin closes when the first attached client with stdin ends (StdinOnce); never with a tty. */
  readonly stdinOnce: boolean;
  /** From ContainerLog. */
  readonly logTarget: string;
  readonly logLimit: number;
  readonly runtime?: string;
  /** Starts from a CRIU checkpoint instead of the spec's process; the task then runs at once, `start` is not called. */
  readonly restore?: { readonly image: string; readonly options: readonly string[] };
}

export interface NewExec {
  readonly id: string;
  readonly containerId: string;
  readonly dirs: TaskDirs;
  readonly process: OciProcess;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** Kept with the task's record for whoever asks for it: what the next daemon must know of the exec. */
  readonly note?: string;
  /** Opens the streams before the process starts, so that no output is missed; they come with the result. */
  readonly attach: boolean;
}

export interface RunningTask {
  readonly id: string;
  readonly pid: number;
  readonly monitorPid: number;
}

export interface RunningExec extends RunningTask {
  /** When `attach` was asked for. */
  readonly streams?: TaskStreams;
}

export interface TaskOom {
  readonly id: string;
}

export interface TaskExit {
  readonly id: string;
  /** 0-255; 128+n for signal n. */
  readonly exitCode: number;
  /** Nanoseconds since the epoch: when the monitor recorded it, not when it was noticed. */
  readonly at: bigint;
  readonly oomKilled: boolean;
}

export type TaskObservation =
  | {
      readonly status: "running";
      readonly pid: number;
      readonly monitorPid: number;
      readonly paused: boolean;
    }
  | { readonly status: "created"; readonly pid: number; readonly monitorPid: number }
  | ({ readonly status: "exited" } & Omit<TaskExit, "id">)
  | { readonly status: "unknown" };

/** A live attachment. Output packets keep their stream; closing it does not touch the container. */
export interface TaskStreams extends AsyncDisposable {
  /** Calls back for each packet; the callback's promise is backpressure. `end` follows the last one. */
  readonly output: ReadableStream<OutputPacket>;
  /** Resolves when the bytes were taken by the monitor. */
  write(bytes: Uint8Array): Promise<void>;
  /** Half-close: the container's stdin sees its end. */
  closeStdin(): Promise<void>;
}

export interface OutputPacket {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** OCI runtime-spec config.json; members as the specification names them. */
export type OciSpec = Readonly<Record<string, unknown>> & { readonly process?: OciProcess };
export interface OciProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly umask?: number;
    readonly additionalGids?: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities?: Readonly<Record<string, readonly string[]>>;
  readonly rlimits?: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
  readonly noNewPrivileges?: boolean;
  readonly oomScoreAdj?: number;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
}
export type OciResources = Readonly<Record<string, unknown>>;
