import type {
  AttestationStatement,
  ContainerConfig,
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerStatsResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerUpdateResponse,
  EndpointSettings,
  EventMessage,
  FilesystemChange,
  ImageDeleteResponseItem,
  ImageHistoryResponseItem,
  ImageInspect,
  ImageSummary,
  NetworkCreateResponse,
  NetworkInspect,
  NetworkingConfig,
  ProcessConfig,
  Resources,
  RestartPolicy,
  Secret,
  SecretSpec,
  SystemInfo,
  SystemVersion,
  Volume,
  VolumeListResponse,
} from "../base/spec/docker/api.gen.ts";
import type {
  DistributionManifest,
  ImageBootstrapRequest,
  ImageInventory,
  SystemCheckReport,
  TugHealthConfig,
  TugHostConfig,
} from "../base/spec/docker/extensions.ts";

/**
 * What the HTTP routes need from below, in the wire's own shapes of the newest API version; `compat/` bends requests and
 * replies of older versions around them. Each route group takes the one interface it needs; the engine's services have
 * methods of the same shape and are handed in by the daemon. Failures are `TugError`s whose message is Docker's.
 */

/** Filters as the wire has them: {"label": ["a=b"], "status": ["running"]}; validated by the backend. */
export type Filters = Readonly<Record<string, readonly string[]>>;

/** The other end of a hijacked or streamed connection. Writing waits for the peer (backpressure). */
export interface StreamClient {
  /** What the client sends; undefined when it did not ask for stdin. Ends at half-close. */
  readonly stdin: ReadableStream<Uint8Array> | undefined;
  /** Framed as stdcopy or raw by the route, as the container has no or a TTY (`begin` says which). */
  write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void>;
  /** Bytes that are encoded already (framed or raw as announced with `begin`). */
  writeEncoded(bytes: Uint8Array): Promise<void>;
  /** Sends the response head (101 or 200). Errors thrown before it become a JSON error reply. */
  begin(options: { readonly tty: boolean }): void;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
}

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

export type CreateRequest = Omit<ContainerConfig, "Healthcheck"> & {
  readonly Healthcheck?: TugHealthConfig | undefined;
  readonly HostConfig?: TugHostConfig | undefined;
  readonly NetworkingConfig?: NetworkingConfig | undefined;
};

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

/** X-Docker-Container-Path-Stat, before base64. Mode has Go's os.FileMode bits. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  /** RFC 3339 with nanoseconds. */
  readonly mtime: string;
  readonly linkTarget: string;
}

export interface ExecCreateRequest {
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

export interface ExecInspect {
  readonly ID: string;
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly ProcessConfig: ProcessConfig;
  readonly OpenStdin: boolean;
  readonly OpenStderr: boolean;
  readonly OpenStdout: boolean;
  readonly CanRemove: boolean;
  readonly ContainerID: string;
  readonly DetachKeys: string;
  readonly Pid: number;
}

export interface ExecBackend {
  createExec(containerId: string, request: ExecCreateRequest): Promise<{ readonly Id: string }>;
  /** Detached: resolves when it runs. Otherwise streams to the client until it ends. */
  startExec(
    execId: string,
    options: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
    },
    client: StreamClient | undefined,
  ): Promise<void>;
  resizeExec(execId: string, rows: number, columns: number): Promise<void>;
  inspectExec(execId: string): Promise<ExecInspect>;
}

/** A line of a progress stream: {"status": …, "id": …, "progressDetail": {…}} or {"errorDetail": …}. */
export interface ProgressMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly errorDetail?: { readonly code?: number; readonly message: string };
  readonly error?: string;
  readonly aux?: unknown;
}

export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly serveraddress?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export interface ImageBackend {
  list(options: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize: boolean;
    readonly digests: boolean;
    readonly manifests: boolean;
    /** With `manifests`: where they came from (API 1.54). */
    readonly identity?: boolean;
  }): Promise<readonly ImageSummary[]>;
  inspect(
    reference: string,
    options?: { readonly manifests: boolean; readonly platform: string | undefined },
  ): Promise<ImageInspect>;
  history(
    reference: string,
    options?: { readonly platform: string | undefined },
  ): Promise<readonly ImageHistoryResponseItem[]>;
  /** In-toto statements that came with the image; of these predicate types, or all. */
  attestations(
    reference: string,
    options: {
      readonly platform: string | undefined;
      readonly types: readonly string[];
      readonly statement: boolean;
    },
  ): Promise<readonly AttestationStatement[]>;
  tag(source: string, repo: string, tag: string): Promise<void>;
  remove(
    reference: string,
    options: {
      readonly force: boolean;
      readonly noPrune: boolean;
      /** Only these platforms of the image; empty: all. */
      readonly platforms?: readonly string[];
    },
  ): Promise<readonly ImageDeleteResponseItem[]>;
  /** Errors before the first message become an HTTP error; later ones an errorDetail line. */
  pull(
    reference: string,
    options: {
      readonly platform: string | undefined;
      readonly auth: RegistryCredentials | undefined;
      readonly allTags: boolean;
      readonly explain: boolean;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  push(
    reference: string,
    options: {
      readonly tag: string | undefined;
      readonly platform: string | undefined;
      readonly auth: RegistryCredentials | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  /** A base image from a distributor's packages; errors as in a pull. */
  bootstrap(request: ImageBootstrapRequest, signal: AbortSignal): AsyncIterable<ProgressMessage>;
  import(
    source: ReadableStream<Uint8Array>,
    options: {
      readonly repo: string;
      readonly tag: string;
      readonly message: string;
      readonly changes: readonly string[];
      readonly platform: string | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  load(
    tar: ReadableStream<Uint8Array>,
    options: {
      readonly quiet: boolean;
      readonly platforms: readonly string[];
      /** Blobs that came whole stay for a while when the rest does not come. */
      readonly keep?: boolean;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  inventory(): Promise<ImageInventory>;
  save(
    references: readonly string[],
    options: {
      readonly platforms: readonly string[];
      /** Layers that this side has are left out. */
      readonly missingOn?: ImageInventory | undefined;
    },
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>;
  prune(filters: Filters): Promise<{
    readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null;
    readonly SpaceReclaimed: number;
  }>;
  search(
    term: string,
    options: {
      readonly limit: number | undefined;
      readonly filters: Filters;
      readonly auth: RegistryCredentials | undefined;
    },
    signal: AbortSignal,
  ): Promise<readonly unknown[]>;
  /** A registry's manifest or index as it is; `insecure`: with any certificate or none. */
  readManifest(
    reference: string,
    options: { readonly auth: RegistryCredentials | undefined; readonly insecure: boolean },
  ): Promise<DistributionManifest>;
  /** Puts an index into a registry; what it lists is mounted or copied from the repositories `from`. */
  writeManifest(
    reference: string,
    document: Uint8Array,
    options: {
      readonly auth: RegistryCredentials | undefined;
      readonly insecure: boolean;
      readonly mediaType: string;
      readonly from: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<{ readonly Digest: string }>;
}

export interface VolumeBackend {
  list(filters: Filters): Promise<VolumeListResponse>;
  create(request: {
    readonly Name?: string;
    readonly Driver?: string;
    readonly DriverOpts?: Readonly<Record<string, string>>;
    readonly Labels?: Readonly<Record<string, string>>;
  }): Promise<Volume>;
  inspect(name: string): Promise<Volume>;
  remove(name: string, options: { readonly force: boolean }): Promise<void>;
  prune(
    filters: Filters,
  ): Promise<{ readonly VolumesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;
}

/** Body of POST /networks/create. */
export interface NetworkCreateRequest {
  readonly Name: string;
  readonly Driver?: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string } | null;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Config?:
      | readonly {
          readonly Subnet?: string;
          readonly IPRange?: string;
          readonly Gateway?: string;
          readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
        }[]
      | null;
    readonly Options?: Readonly<Record<string, string>> | null;
  } | null;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly CheckDuplicate?: boolean;
}

export interface NetworkBackend {
  list(filters: Filters): Promise<readonly NetworkInspect[]>;
  create(request: NetworkCreateRequest): Promise<NetworkCreateResponse>;
  inspect(
    nameOrId: string,
    options: { readonly verbose: boolean; readonly scope: string | undefined },
  ): Promise<NetworkInspect>;
  remove(nameOrId: string): Promise<void>;
  connect(nameOrId: string, container: string, settings: EndpointSettings | undefined): Promise<void>;
  disconnect(nameOrId: string, container: string, options: { readonly force: boolean }): Promise<void>;
  prune(filters: Filters): Promise<{ readonly NetworksDeleted: readonly string[] | null }>;
}

export interface SystemBackend {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
  /** Events between since and until (nanoseconds since the epoch), then live ones unless `until` has passed. */
  events(
    options: {
      readonly since: bigint | undefined;
      readonly until: bigint | undefined;
      readonly filters: Filters;
    },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage>;
  diskUsage(types: readonly string[], options: { readonly verbose: boolean }): Promise<unknown>;
  /** POST /system/check: whether everything that the records name is there and whole; Tug's own. */
  check(
    options: { readonly quick: boolean; readonly repair: boolean },
    signal: AbortSignal,
  ): Promise<SystemCheckReport>;
  /** POST /auth. */
  login(
    credentials: RegistryCredentials,
  ): Promise<{ readonly Status: string; readonly IdentityToken?: string }>;
  /** GET /distribution/{name}/json. */
  distribution(reference: string, auth: RegistryCredentials | undefined): Promise<unknown>;
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

/** Secrets of this node, in the wire shapes that a swarm's have; their data never comes back out. */
export interface SecretBackend {
  list(filters: Filters): Promise<readonly Secret[]>;
  /** `Data` is base64. */
  create(spec: SecretSpec): Promise<{ readonly ID: string }>;
  inspect(idOrName: string): Promise<Secret>;
  remove(idOrName: string): Promise<void>;
  /** Only labels can change. `version` must be the present one. */
  update(idOrName: string, version: number, spec: SecretSpec): Promise<void>;
}

/** Everything the API serves; a route group is given only its own member. */
export interface Backends {
  readonly lifecycle: ContainerLifecycleBackend;
  readonly containers: ContainerQueryBackend;
  readonly streams: ContainerStreamBackend;
  readonly files: ContainerFilesBackend;
  readonly exec: ExecBackend;
  readonly images: ImageBackend;
  readonly volumes: VolumeBackend;
  readonly networks: NetworkBackend;
  readonly system: SystemBackend;
  /** Absent: the routes answer as dockerd does without its experimental features. */
  readonly checkpoints?: CheckpointBackend;
  /** Absent: the routes answer as a node that is in no swarm. */
  readonly secrets?: SecretBackend;
}
