import type { ContainerId, ImageId } from "../../base/lib/ids.ts";
import type {
  ContainerConfig,
  EndpointSettings,
  HealthcheckResult,
  HostConfig,
  OCIDescriptor,
} from "../../base/spec/docker/api.gen.ts";
import type { TugHostConfig } from "../../base/spec/docker/extensions.ts";
import type { Endpoint } from "../../core/network/network.ts";

/**
 * What the engine knows of a container for good. A record is never changed in place: an operation makes a new one and
 * hands it to the store, which writes it before anybody sees it. The *definition* changes seldom (create, update, rename,
 * network connect); the *state* changes with every transition and is small, so the two are separate columns.
 */
export interface ContainerRecord {
  readonly id: ContainerId;
  /** Without the slash that the wire puts in front. */
  readonly name: string;
  readonly definition: ContainerDefinition;
  readonly state: ContainerStateRecord;
}

export interface ContainerDefinition {
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly imageId: ImageId | "";
  /** What the user typed; `ps` shows it. */
  readonly imageReference: string;
  readonly imageManifest: OCIDescriptor | undefined;
  /** "linux" and the architecture of the image. */
  readonly platform: { readonly os: string; readonly architecture: string };
  /** First word of entrypoint + cmd, and the rest. */
  readonly path: string;
  readonly args: readonly string[];
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly mounts: readonly MountRecord[];
  /** Network name -> what was asked for on it, in the order the interfaces get. */
  readonly networks: Readonly<Record<string, EndpointSettings>>;
  readonly logPath: string;
  /** Snapshotter that holds the writable layer. */
  readonly driver: string;
}

export type ContainerStatus =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

export interface ContainerStateRecord {
  readonly status: ContainerStatus;
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** RFC 3339 with nanoseconds; `zeroTime` when it never happened. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly restartCount: number;
  /** The last stop was asked for: `unless-stopped` and `always` then leave it alone. */
  readonly stoppedByUser: boolean;
  /** The container has run before. */
  readonly everStarted: boolean;
  /** Network name -> live endpoint. */
  readonly endpoints: Readonly<Record<string, Endpoint>>;
  readonly health: HealthRecord | undefined;
  /** Of one that is being removed: its anonymous volumes go too. */
  readonly removeVolumes?: boolean;
}

export interface HealthRecord {
  readonly status: "starting" | "healthy" | "unhealthy";
  readonly failingStreak: number;
  readonly log: readonly HealthcheckResult[];
}

export type MountRecord = {
  /** Clean absolute path in the container. */
  readonly target: string;
  readonly readonly: boolean;
  /** As given with -v ("z", "ro", …); shown as Mode. */
  readonly mode: string;
} & (
  | {
      readonly type: "bind";
      readonly source: string;
      readonly propagation: string;
      readonly recursive: boolean;
      /** How far a read-only bind reaches into mounts below it. */
      readonly readonlyDepth: "recursive" | "non-recursive" | "force-recursive";
      /** -v makes a missing source directory, --mount does not. */
      readonly createSource: boolean;
    }
  | {
      readonly type: "volume";
      readonly name: string;
      readonly driver: string;
      readonly source: string;
      /** Take the image's files into an empty volume on first use. */
      readonly copy: boolean;
      readonly subpath: string;
      readonly anonymous: boolean;
      readonly labels: Readonly<Record<string, string>>;
      readonly options: Readonly<Record<string, string>>;
    }
  | { readonly type: "tmpfs"; readonly options: readonly string[] }
  | { readonly type: "image"; readonly imageId: ImageId; readonly source: string; readonly subpath: string }
);

/** Go's zero time, which Docker shows for "never". */
export const zeroTime = "0001-01-01T00:00:00Z";

export const freshState: ContainerStateRecord = {
  status: "created",
  pid: 0,
  exitCode: 0,
  error: "",
  oomKilled: false,
  startedAt: zeroTime,
  finishedAt: zeroTime,
  restartCount: 0,
  stoppedByUser: false,
  everStarted: false,
  endpoints: {},
  health: undefined,
};

/** Docker counts a paused container, and one between two runs of its restart policy, as running. */
export function isRunning(record: ContainerRecord): boolean {
  const { status } = record.state;
  return status === "running" || status === "paused" || status === "restarting";
}

/** A process of it exists. */
export function isAlive(record: ContainerRecord): boolean {
  const { status } = record.state;
  return status === "running" || status === "paused";
}

/** Names of the containers that were made with a secret. */
export function containersWithSecret(records: Iterable<ContainerRecord>, id: string): readonly string[] {
  const names: string[] = [];
  for (const { name, definition } of records) {
    const { Secrets = [] }: TugHostConfig = definition.host;
    if (Secrets.some((reference) => reference.Source === id)) names.push(name);
  }
  return names;
}
