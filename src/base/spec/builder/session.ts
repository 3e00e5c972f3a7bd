/** What the URL of a context begins with that the client uploads over its session (BuildKit's session/upload). */
export const uploadPrefix = "http://buildkit-session/";

/**
 * What the builder asks of whoever ordered the build: BuildKit's session (filesync, auth, secrets, sshforward services) or the body of a classic
 * `POST /build`. Everything comes over the client's own connection and ends with it.
 */
export interface BuildSession {
  readonly id: string;
  /** What is shared by builds of the same directory on the same client ("" when it says nothing): transfers are incremental within it. */
  readonly sharedKey: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
  /** Brings a directory into `target`, an existing tree that may hold what an earlier transfer left; afterwards it holds exactly what was asked for. */
  readonly files: ContextFiles | undefined;
  /** The value of a secret; undefined: the client has none of that name. */
  secret(id: string): Promise<Uint8Array | undefined>;
  /** Whether the client forwards an agent of that id ("default"). */
  hasSsh(id: string): Promise<boolean>;
  /** One connection to that agent. */
  ssh(id: string): Promise<DuplexBytes>;
  /** For a registry host; undefined: anonymous. */
  credentials(host: string): Promise<SessionCredentials | undefined>;
  /**
   * What the client uploads once: the body of a context "http://buildkit-session/…" (a tar or a Dockerfile on its standard input). Throws
   * not-found when there is none of that address, or no more.
   */
  upload?(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** A blob of a content store that the client lends (an OCI layout); undefined: it lends none. Throws not-found for what is not in it. */
  blob?(store: string, digest: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | undefined>;
  /** The session of that id, where this one stands for several clients; undefined: it is not among them. */
  lender?(session: string): BuildSession | undefined;
  /** Puts a blob into such a store (a cache in a directory of the client's) unless it is there; false: the client takes none. */
  putBlob?(store: string, blob: LentBlob, signal: AbortSignal): Promise<boolean>;
  /** Where `--output` of the client's goes; undefined: it takes none. */
  readonly exports: SessionExports | undefined;
}

export interface SessionCredentials {
  readonly username: string;
  /** Password, or an identity token where the user name is "" or "<token>". */
  readonly secret: string;
  /** A bearer token that is sent as it is, instead of both. */
  readonly registryToken?: string;
}

export interface LentBlob {
  readonly digest: string;
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array>;
}

export interface DuplexBytes extends AsyncDisposable {
  readonly readable: ReadableStream<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

export interface ContextFiles {
  /** Throws not-found when the client has no directory of that name. */
  receive(request: ReceiveRequest): Promise<void>;
}

export interface ReceiveRequest {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Paths whose links are followed on the client's side, so that what they lead to comes too. */
  readonly follow: readonly string[];
  readonly into: ContextTarget;
  readonly signal: AbortSignal;
  /** Bytes that came so far. */
  readonly onProgress: (bytes: number) => void;
}

/** What a sender of files is compared with and writes to. Paths are relative, "/" between, never "..". Entries come in walking order. */
export interface ContextTarget {
  /** Told of every entry that the client has, in order; says whether its content is wanted (a regular file that is new or changed). */
  entry(entry: ContextEntry): boolean;
  /** What was told of the same directory the last time, as it came (see `remember`): most builds are told the same again, which need not be read anew. */
  readonly lately?: Uint8Array | undefined;
  /** Instead of `entry` for each of them: all were told as `lately` has them. */
  unchanged?(): void;
  /** At the end, unless nothing has changed: what was told, as it came. */
  remember?(told: Uint8Array): void;
  /** The content of a wanted file, in pieces; the last one is marked. */
  content(path: string, bytes: Uint8Array, last: boolean): Promise<void>;
  /** All entries were told: what was not named is gone. Resolves when everything is written. */
  finish(): Promise<void>;
}

export interface ContextEntry {
  readonly path: string;
  /** st_mode as Linux has it, type included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  /** Of a symbolic link; of a hard link, the entry that it is another name of. */
  readonly linkname: string;
  readonly devmajor: number;
  readonly devminor: number;
  readonly xattrs: Readonly<Record<string, Uint8Array>>;
}

export interface SessionExports {
  /** `--output type=local`: a tree on the client; `entries` walks it. */
  tree(
    exporter: string,
    root: string,
    options: {
      readonly signal: AbortSignal;
      /** Seconds: what every entry gets as its time; undefined: its own. */
      readonly epoch?: number | undefined;
      /** Permissions of regular files; undefined: their own. */
      readonly fileMode?: number;
    },
  ): Promise<void>;
  /** `--output type=tar|oci|docker,dest=…`: one file on the client. */
  file(
    exporter: string,
    attributes: Readonly<Record<string, string>>,
    bytes: ReadableStream<Uint8Array>,
  ): Promise<void>;
}
