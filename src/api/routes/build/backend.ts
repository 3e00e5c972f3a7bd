import type { Clock } from "../../../base/lib/clock.ts";
import type { Log } from "../../../base/lib/log.ts";
import type { ProgressSink } from "../../../base/spec/builder/progress.ts";
import type { ReadableTree } from "../../../base/spec/builder/readable-tree.ts";
import type { BuildRequest } from "../../../base/spec/builder/request.ts";
import type { BuildSession } from "../../../base/spec/builder/session.ts";
import type { Definition } from "../../../base/spec/buildkit/pb.gen.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";

/** Dockerfiles of a build; locations of steps and warnings point into `files`. */
export interface BuildSources {
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

interface BuildOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressSink;
  readonly onPlan?: (plan: BuildSources) => void;
  /** Has the frontend's image plan that the file's "syntax" line names; what is planned here is nothing then. Absent: the built-in one plans. */
  readonly forward?: (source: string, cmdline: string) => Promise<void>;
}

export interface BuildOutcome {
  readonly response: Readonly<Record<string, string>>;
  readonly imageId: string | undefined;
  /** Where each target came from, told in full; made when it is asked for. */
  readonly provenance?: () => readonly Provenance[];
}

export interface Provenance {
  /** "linux/amd64" */
  readonly platform: string;
  /** Of the predicate: "https://slsa.dev/provenance/v0.2". */
  readonly type: string;
  readonly predicate: object;
}

/** What the routes need of the builder. */
export interface BuilderBackend {
  build(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<BuildOutcome>;
  plan(request: BuildRequest, session: BuildSession, options: BuildOptions): Promise<PlannedBuild>;
  combine(targets: readonly CombinedTarget[], request: BuildRequest, session: BuildSession): PlannedBuild;
  frontend(
    asked: {
      /** Reference of its image. */
      readonly source: string;
      readonly env: readonly string[];
      readonly caps: string | undefined;
      readonly hasInputs: boolean;
    },
    stdio: {
      readonly input: AsyncIterable<Uint8Array>;
      output(bytes: Uint8Array): void | Promise<void>;
    },
    session: BuildSession,
    options: BuildOptions,
  ): Promise<void>;
  image(
    asked: {
      readonly reference: string;
      readonly platform: Platform;
      /** "pull": its registry is asked, too. */
      readonly mode: string;
      readonly store?: string;
    },
    session: BuildSession,
    options: BuildOptions,
  ): Promise<{
    /** Canonical. */
    readonly reference: string;
    /** The same with the digest that it has now, if one is known. */
    readonly pinned: string;
    readonly digest: string;
    readonly config: Uint8Array;
  }>;
  call(
    method: "check" | "outline" | "targets",
    request: BuildRequest,
    session: BuildSession,
    options: BuildOptions,
  ): Promise<Readonly<Record<string, Uint8Array>>>;
}

/** A build that is planned and not made: what a client of the gateway has in hand. */
export interface PlannedBuild extends Disposable {
  readonly targets: readonly TargetRef[];
  build(request: BuildRequest, options: BuildOptions): Promise<BuildOutcome>;
}

export interface TargetRef {
  readonly platform: Platform;
  readonly definition: Definition;
  /** JSON. */
  readonly config: string | undefined;
  evaluate(options: BuildOptions): Promise<void>;
  read<T>(look: (tree: ReadableTree) => T | Promise<T>, options: BuildOptions): Promise<T>;
}

/** A result that a client returns, with what it says of it. */
export interface CombinedTarget {
  readonly target: TargetRef;
  readonly platform: Platform | undefined;
  readonly config: string | undefined;
}

/** One record of the build cache. */
export interface CacheUsage {
  readonly id: string;
  readonly parents: readonly string[];
  /** "regular", "source.local", "exec.cachemount", … */
  readonly type: string;
  readonly description: string;
  readonly inUse: boolean;
  readonly shared: boolean;
  readonly mutable: boolean;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly used: number | undefined;
  readonly uses: number;
}

export interface CachePrune {
  /** Internal records and frontends too. */
  readonly all: boolean;
  /** containerd's filter syntax, alternatives ("id==abc", "type==regular,inuse==false"). */
  readonly filters: readonly string[];
  /** Nanoseconds since the last use; 0: any age. */
  readonly keepDuration: bigint;
  /** Bytes; 0: no such bound. */
  readonly reservedSpace: bigint;
  readonly maxUsedSpace: bigint;
  readonly minFreeSpace: bigint;
}

export interface BuildCacheBackend {
  usage(filters: readonly string[]): Promise<readonly CacheUsage[]>;
  /** Yields what was removed, with the bytes that it gave back as its size. */
  prune(request: CachePrune, signal: AbortSignal): AsyncIterable<CacheUsage>;
}

/** How the builder presents itself to its clients. */
export interface WorkerInfo {
  readonly id: string;
  /** What RUN steps can be for: emulators come and go. */
  readonly platforms: readonly Platform[];
  readonly labels: Readonly<Record<string, string>>;
  readonly gc: readonly {
    readonly all: boolean;
    readonly keepDuration: bigint;
    readonly filters: readonly string[];
    readonly reservedSpace: bigint;
    readonly maxUsedSpace: bigint;
    readonly minFreeSpace: bigint;
  }[];
  /** BuildKit's version whose features are served ("v0.23.0"), by which clients decide what to ask for. */
  readonly version: string;
  readonly revision: string;
}

/** What the routes of BuildKit's protocol are made from. */
export interface BuildkitDeps {
  readonly builder: BuilderBackend;
  readonly cache: BuildCacheBackend;
  readonly worker: () => WorkerInfo;
  readonly log: Log;
  readonly clock: Clock;
}
