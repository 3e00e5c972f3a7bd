/**
 * Container logs. conmon writes each container's output to a bounded spool on disk, whether the daemon lives or not (its
 * line format is CRI's: "<RFC3339Nano> stdout|stderr F|P <bytes>"). A log driver decides how the spool is rotated, where
 * its records are forwarded, and reads it back; every driver can be read, so `logs` works with all.
 */
export interface ContainerLog {
  /** Path shown as LogPath; "" for none. */
  readonly path: string;
  /** conmon's --log-path argument, e.g. "k8s-file:/…/ctr.log" or "none". */
  readonly monitorTarget: string;
  /** Hard ceiling in bytes given to conmon (--log-size-max), or -1. */
  readonly monitorLimit: number;
  /** Attributes chosen by the options labels, env, ... as `logs --details` shows them ("a=1,b=2"); "" for none. */
  readonly details: string;
  /** Records in order. With `follow` it ends when the container has stopped and all was read, or on abort. */
  read(options: LogReadOptions): AsyncIterable<LogRecord>;
  /**
   * Fast path for `logs`: the same records already encoded for the wire, in large chunks. `framed` adds Docker's 8-byte
   * stdcopy header, otherwise raw bytes. `details` is put before each line as it is: "" or the log's `details` and a blank.
   */
  readEncoded(
    options: LogReadOptions & {
      readonly framed: boolean;
      readonly timestamps: boolean;
      readonly details: string;
    },
  ): AsyncIterable<Uint8Array>;
  /** Called by the owner when the container stopped: flush, end followers. */
  stopped(): Promise<void>;
  /** Removes all files. */
  remove(): Promise<void>;
}

export interface LogReadOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Lines from the end; undefined: all. */
  readonly tail?: number;
  /** Nanoseconds since the epoch, inclusive. */
  readonly since?: bigint;
  readonly until?: bigint;
  readonly follow: boolean;
  readonly signal?: AbortSignal;
}

export interface LogRecord {
  readonly stream: "stdout" | "stderr";
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  /** With its newline, unless partial. */
  readonly bytes: Uint8Array;
  readonly partial: boolean;
}

export interface LogDriver {
  readonly name: string;
  /** Option names it takes; others are refused with Docker's text "unknown log opt 'x' for y log driver". */
  validate(options: Readonly<Record<string, string>>): void;
  /**
   * Opens a container's log. The one who opens keeps it as long as the container exists: rotation happens while it is open, so a new
   * daemon opens the logs of all running containers at once. `follow` is asked for running containers only.
   */
  open(container: LogContext): Promise<ContainerLog>;
}

export interface LogContext {
  readonly id: string;
  readonly name: string;
  readonly imageId: string;
  readonly imageName: string;
  readonly created: string;
  readonly command: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly env: readonly string[];
  /** Directory of the container that the log may write in. */
  readonly directory: string;
  readonly options: Readonly<Record<string, string>>;
  /** Asks the monitor to reopen its log file after it was renamed. */
  reopen(): Promise<void>;
}
