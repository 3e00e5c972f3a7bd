import type {
  ContainerConfig,
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerStatsResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerUpdateResponse,
  FilesystemChange,
  Resources,
  RestartPolicy,
} from "../../../base/spec/docker/api.gen.ts";
import type { PathStat } from "../../../base/spec/docker/path-stat.ts";
import type { CreateRequest } from "../../../base/spec/docker/requests.ts";
import type { Filters } from "../../filters.ts";
import type { StreamClient } from "../../stream-client.ts";

export interface AttachOptions {
  readonly stream: boolean;
  readonly logs: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: string | undefined;
}

export interface LogsOptions {
  readonly follow: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch. */
  readonly since: bigint | undefined;
  readonly until: bigint | undefined;
  readonly timestamps: boolean;
  readonly details: boolean;
  /** undefined: all. */
  readonly tail: number | undefined;
}

export interface ContainerLifecycleBackend {
  create(
    request: CreateRequest,
    options: {
      readonly name: string | undefined;
      readonly platform: string | undefined;
      /** Read-only binds are not recursive unless they say so: clients before 1.44. */
      readonly readOnlyNonRecursive?: boolean;
    },
  ): Promise<ContainerCreateResponse>;
  start(
    id: string,
    options: { readonly detachKeys?: string; readonly checkpoint?: string; readonly checkpointDir?: string },
  ): Promise<void>;
  /** Timeout in seconds; -1 waits for ever; undefined: the container's own. Throws not-modified when it is stopped. */
  stop(
    id: string,
    options: { readonly signal: string | undefined; readonly timeout: number | undefined },
  ): Promise<void>;
  restart(
    id: string,
    options: { readonly signal: string | undefined; readonly timeout: number | undefined },
  ): Promise<void>;
  kill(id: string, signal: string | undefined): Promise<void>;
  pause(id: string): Promise<void>;
  unpause(id: string): Promise<void>;
  rename(id: string, name: string): Promise<void>;
  update(
    id: string,
    change: Resources & {
      readonly RestartPolicy?: RestartPolicy;
      readonly PublishAdd?: readonly string[];
      readonly PublishRm?: readonly string[];
    },
  ): Promise<ContainerUpdateResponse>;
  remove(
    id: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>;
  /** Returns once the wait is registered (the route then sends the head); `done` resolves with the outcome. */
  wait(
    id: string,
    condition: "not-running" | "next-exit" | "removed",
    signal: AbortSignal,
  ): Promise<{
    readonly done: Promise<{ readonly StatusCode: number; readonly Error?: { readonly Message: string } }>;
  }>;
  prune(
    filters: Filters,
  ): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;
}

export interface ContainerQueryBackend {
  list(options: {
    readonly all: boolean;
    readonly limit: number;
    readonly size: boolean;
    readonly filters: Filters;
  }): Promise<readonly ContainerSummary[]>;
  inspect(id: string, options: { readonly size: boolean }): Promise<ContainerInspectResponse>;
  top(id: string, psArgs: string): Promise<ContainerTopResponse>;
  changes(id: string): Promise<readonly FilesystemChange[] | null>;
  /** One sample; with `stream`, one a second until the signal; `oneShot` skips the priming sample. */
  stats(
    id: string,
    options: { readonly stream: boolean; readonly oneShot: boolean },
    signal: AbortSignal,
  ): AsyncIterable<ContainerStatsResponse>;
}

export interface ContainerStreamBackend {
  attach(id: string, options: AttachOptions, client: StreamClient): Promise<void>;
  logs(id: string, options: LogsOptions, client: StreamClient): Promise<void>;
  resize(id: string, rows: number, columns: number): Promise<void>;
}

export interface ContainerFilesBackend {
  /** PathStat for HEAD and GET. */
  statPath(id: string, path: string): Promise<PathStat>;
  getArchive(
    id: string,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: PathStat; readonly tar: ReadableStream<Uint8Array> }>;
  putArchive(
    id: string,
    path: string,
    tar: ReadableStream<Uint8Array>,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUIDGID: boolean },
  ): Promise<void>;
  export(id: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  commit(
    id: string,
    options: {
      readonly repo: string;
      readonly tag: string;
      readonly comment: string;
      readonly author: string;
      readonly pause: boolean;
      readonly changes: readonly string[];
      readonly config: ContainerConfig | undefined;
    },
  ): Promise<{ readonly Id: string }>;
}

/** Checkpoints of containers through CRIU. `directory` undefined: the container's own place. */
export interface CheckpointBackend {
  create(
    container: string,
    options: { readonly name: string; readonly directory: string | undefined; readonly exit: boolean },
  ): Promise<void>;
  list(container: string, directory: string | undefined): Promise<readonly { readonly Name: string }[]>;
  remove(container: string, name: string, directory: string | undefined): Promise<void>;
}
