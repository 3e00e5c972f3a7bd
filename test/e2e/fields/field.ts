import type { TestDaemon } from "../../harness/daemon.ts";

/** What becomes of one member of a create request. */
export interface Field {
  /** Asked for. */
  readonly value?: unknown;
  /** What else the request needs for it to have an effect. */
  readonly host?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  /** What inspect shows; the value itself unless told. "nothing": it has no place there. */
  readonly shown?: unknown;
  /** A shell script for the container, and what it prints because of the field; without the field it prints something else. */
  readonly script?: string;
  readonly prints?: RegExp;
  /** Looks from outside, while the container runs (`sleep`) or, with `ended`, after its end. */
  readonly look?: (container: Looked) => Promise<void> | void;
  readonly ended?: true;
  /** The daemon's refusal, by create or by start. */
  readonly refused?: string | RegExp;
  /** Create's refusal on a kernel that lacks it. */
  readonly lacking?: string;
  /** The daemon says at create that it discards it: always, or (with a script) where the kernel lacks it. */
  readonly warned?: RegExp;
  /** It takes more than one container to show: the file, and the words in it. */
  readonly proven?: readonly [file: string, words: string];
  /** Only kept and shown: whose business it is. */
  readonly kept?: string;
}

export interface Looked {
  readonly daemon: TestDaemon;
  readonly id: string;
  /** GET /containers/{id}/json */
  inspect(): Promise<Inspected>;
}

export interface Inspected {
  readonly State: { readonly Pid: number; readonly Status: string };
  readonly RestartCount: number;
  readonly NetworkSettings: {
    readonly Ports: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
    >;
  };
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

/** A control file of the container's own cgroup, by its name on v1 or on v2. */
export const cgroup = (v1: string, v2: string): string =>
  `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`;
