import { setImmediate } from "node:timers/promises";
import type { Digest } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import { type KeyedMutex, Mutex } from "../../base/lib/mutex.ts";
import type { RegistryMetrics } from "../metrics.ts";
import { storedBlob } from "../records/blobs.ts";
import {
  beginPass,
  type Cursor,
  findBlobs,
  forgetBlobs,
  start,
  sweepLinks,
  sweepManifests,
  sweepRepositories,
  sweepUnused,
} from "../records/garbage.ts";
import type { Records } from "../records/records.ts";
import type { BlobStorage } from "../storage/storage.ts";
import type { Uploads } from "../uploads/uploads.ts";

/** Blobs forgotten with one sync and deleted together. */
const batchSize = 100;

export interface GarbagePolicy {
  /** Milliseconds a blob stays that was pushed and that no manifest names yet. */
  readonly graceMs: number;
  /** Milliseconds after which a manifest without tag, index or subject goes; undefined: never. */
  readonly untaggedAfterMs: number | undefined;
  /** Caches whose manifests go when nobody has asked for them for so long. */
  readonly unused: readonly { readonly prefix: string; readonly afterMs: number }[];
  /** Milliseconds an upload may rest. */
  readonly uploadAfterMs: number;
}

export interface GarbageReport {
  manifests: number;
  /** Blobs that left a repository. */
  links: number;
  /** Blobs that left storage, and their bytes. */
  blobs: number;
  bytes: number;
  uploads: number;
  /** Blobs in storage that no record named, and their bytes. */
  orphans: number;
  orphanBytes: number;
}

interface Deps {
  readonly records: Records;
  readonly storage: BlobStorage;
  readonly uploads: Uploads;
  readonly locks: KeyedMutex;
  readonly policy: GarbagePolicy;
  readonly metrics: RegistryMetrics;
  readonly log: Log;
}

export interface CollectOptions {
  readonly dryRun: boolean;
  /** Also looks through storage for what no record names; that takes as long as there are blobs. */
  readonly orphans: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Garbage collection while the registry serves. It goes through the records window by window, each judged and written in one turn of the
 * event loop, and in between everybody else has theirs. What has just been pushed, mounted or asked for is kept by its age; a blob's bytes
 * go under its lock, after its record, so a push of the same blob comes entirely before or entirely after.
 */
export class GarbageCollector {
  readonly #deps: Deps;
  readonly #turn = new Mutex();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** One collection; a second one waits for the first. A dry run changes nothing and reports what would go. */
  async collect(options: CollectOptions): Promise<GarbageReport> {
    using _turn = await this.#turn.lock();
    const { records, policy, log } = this.#deps;
    const now = records.clock.now();
    const report = { manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0, orphans: 0, orphanBytes: 0 };
    beginPass(records);
    for (const { prefix, afterMs } of policy.unused) {
      await this.#manifests(options, report, (from) =>
        sweepUnused(records, prefix, now - afterMs, from, options.dryRun),
      );
    }
    const untagged = policy.untaggedAfterMs;
    if (untagged !== undefined) {
      await this.#manifests(options, report, (from) =>
        sweepManifests(records, now - untagged, from, options.dryRun),
      );
    }
    await eachWindow(options, (from) => {
      const found = sweepLinks(records, now - policy.graceMs, from, options.dryRun);
      report.links += found.rows.length;
      return found.next;
    });
    await this.#blobs(now - policy.graceMs, options, report);
    if (options.orphans) await this.#orphans(options, report);
    if (!options.dryRun) {
      for (let from: number | undefined = 0; from !== undefined; await setImmediate()) {
        from = sweepRepositories(records, now - policy.graceMs, from);
      }
      report.uploads = this.#deps.uploads.expire(policy.uploadAfterMs);
      report.bytes += await this.#deps.storage.dropPartials(policy.uploadAfterMs);
      this.#deps.metrics.count("garbage_bytes", report.bytes + report.orphanBytes);
      this.#deps.metrics.count("garbage_runs");
    }
    beginPass(records);
    log.info(options.dryRun ? "garbage collection, dry run" : "garbage collected", { ...report });
    return report;
  }

  /** Passes until one finds nothing: what an index held is free only after the index. */
  async #manifests(
    options: CollectOptions,
    report: GarbageReport,
    sweep: (from: Cursor) => ReturnType<typeof sweepManifests>,
  ): Promise<void> {
    for (let before = -1; before !== report.manifests; ) {
      before = report.manifests;
      await eachWindow(options, (from) => {
        const found = sweep(from);
        report.manifests += found.rows.length;
        return found.next;
      });
    }
  }

  async #blobs(cutoff: number, options: CollectOptions, report: GarbageReport): Promise<void> {
    const { records } = this.#deps;
    for (let from: Cursor | undefined = start; from; ) {
      options.signal?.throwIfAborted();
      const found = findBlobs(records, cutoff, from);
      from = found.next;
      for (let at = 0; at < found.rows.length; at += batchSize) {
        const batch = found.rows.slice(at, at + batchSize);
        const digests = batch.map((row) => row.digest);
        const gone = new Set(options.dryRun ? digests : await this.#delete(digests, cutoff));
        report.blobs += gone.size;
        for (const row of batch) if (gone.has(row.digest)) report.bytes += row.size;
      }
      await setImmediate();
    }
  }

  /** Under the locks of all of them: nobody else ever holds two, so nobody can wait in a circle. */
  async #delete(digests: readonly Digest[], cutoff: number): Promise<readonly Digest[]> {
    const { records, storage, locks } = this.#deps;
    const locked = async (at: number): Promise<readonly Digest[]> => {
      const digest = digests[at];
      if (digest !== undefined) return await locks.run(digest, () => locked(at + 1));
      const gone = forgetBlobs(records, digests, cutoff);
      await Promise.all(gone.map((each) => storage.delete(each)));
      return gone;
    };
    return await locked(0);
  }

  /** A crash between a blob and its record leaves bytes that no record names. Under its lock a blob has both or neither. */
  async #orphans(options: CollectOptions, report: GarbageReport): Promise<void> {
    const { records, storage, locks } = this.#deps;
    let seen = 0;
    for await (const { digest, size } of storage.list()) {
      if (++seen % 200 === 0) await setImmediate();
      options.signal?.throwIfAborted();
      if (storedBlob(records, digest)) continue;
      await locks.run(digest, async () => {
        if (storedBlob(records, digest)) return;
        if (!options.dryRun) await storage.delete(digest);
        report.orphans++;
        report.orphanBytes += size;
      });
    }
  }
}

async function eachWindow(
  options: CollectOptions,
  sweep: (from: Cursor) => Cursor | undefined,
): Promise<void> {
  for (let from: Cursor | undefined = start; from; ) {
    options.signal?.throwIfAborted();
    from = sweep(from);
    await setImmediate();
  }
}
