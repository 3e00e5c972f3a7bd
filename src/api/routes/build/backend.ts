import type { Clock } from "../../../base/lib/clock.ts";
import type { Log } from "../../../base/lib/log.ts";
import type { Builder } from "../../../base/spec/builder/builder.ts";
import type { Platform } from "../../../base/spec/oci/descriptor.ts";

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
  readonly builder: Builder;
  readonly cache: BuildCacheBackend;
  readonly worker: () => WorkerInfo;
  readonly log: Log;
  readonly clock: Clock;
}
