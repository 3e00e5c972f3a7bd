import type { Clock } from "../../base/lib/clock.ts";
import { messageOf } from "../../base/lib/errors.ts";
import type { Log } from "../../base/lib/log.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import type { BuildCache as WireEntry } from "../../base/spec/docker/api.gen.ts";
import { statFileSystem } from "../../base/sys/statfs.ts";
import type { CountedFiles, Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { BuildCache, ImageLayers } from "./cache.ts";
import { parseEntryFilters } from "./filter.ts";
import type { GcPolicy } from "./gc-policy.ts";
import type { CacheEntry, CacheObjects } from "./objects.ts";
import { type PruneRule, planPrune } from "./prune-plan.ts";
import { type PruneRequest, pruneRule } from "./prune-request.ts";
import type { CacheRecord, CacheRecords } from "./records.ts";
import { buildPrefix } from "./step-snapshots.ts";

export interface CacheCollectorDeps {
  readonly records: CacheRecords;
  readonly cache: BuildCache;
  readonly snapshots: Snapshotter;
  readonly layers: Pick<ImageLayers, "imageLayers">;
  readonly objects: () => readonly CacheObjects[];
  /** Asked before each collection: the configuration may be read again. */
  readonly policy: () => GcPolicy;
  /** Called after each collection: snapshots may have gone, with images too. */
  readonly pruned?: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Milliseconds after a build: what it made is synced, and what is too much collected (BuildKit waits a minute, too). */
const quiet = { sync: 2_000, collect: 60_000 } as const;

/** What the cache takes on disk, and taking it back. */
export class CacheCollector implements AsyncDisposable {
  readonly #deps: CacheCollectorDeps;
  readonly #turn = new Mutex();
  readonly #timers = new Map<keyof typeof quiet, ReturnType<typeof setTimeout>>();
  #work: Promise<void> = Promise.resolve();

  constructor(deps: CacheCollectorDeps) {
    this.#deps = deps;
  }

  /** Everything that is kept for builds. */
  async entries(): Promise<readonly CacheEntry[]> {
    const { records, objects } = this.#deps;
    const own = await this.#recordEntries(records.all());
    const others = await Promise.all(objects().map((owner) => owner.list()));
    return [...own, ...others.flat()];
  }

  /** As `system df` counts it: what images have, too, is theirs. */
  async usage(): Promise<{
    readonly active: number;
    readonly total: number;
    readonly reclaimable: number;
    readonly size: number;
    readonly items: readonly WireEntry[];
  }> {
    const entries = await this.entries();
    const sum = (some: readonly CacheEntry[]) => some.reduce((bytes, { size }) => bytes + size, 0);
    const own = entries.filter(({ shared }) => !shared);
    return {
      active: entries.filter(({ inUse }) => inUse).length,
      total: entries.length,
      reclaimable: sum(own.filter(({ inUse }) => !inUse)),
      size: sum(own),
      items: entries.map(wireEntry),
    };
  }

  /** Layers that are kept for builds alone: the builder's usage has them, and no image's. */
  snapshots(): ReadonlySet<string> {
    const { records, layers, snapshots } = this.#deps;
    const shared = layers.imageLayers();
    const kept = new Set<string>();
    const infos = new Map([...snapshots.list()].map((info) => [info.name, info]));
    const keep = (snapshot: string) => {
      for (let name: string | undefined = snapshot; name !== undefined; name = infos.get(name)?.parent)
        if (infos.has(name) && !shared.has(name)) kept.add(name);
    };
    for (const snapshot of records.snapshots()) keep(snapshot);
    for (const { name, kind } of infos.values())
      if (kind === "committed" && name.startsWith(buildPrefix)) keep(name);
    return kept;
  }

  /** Snapshots of what running builds have in hand: they and what lies below may be mounted. */
  snapshotsInUse(): readonly string[] {
    const { records } = this.#deps;
    return records
      .all()
      .flatMap(({ id, snapshot }) => (snapshot !== undefined && records.inUse(id) ? [snapshot] : []));
  }

  /** Removes by a request as the API has it; what is removed is told one by one, with the bytes that it gave back as its size. */
  async prune(
    request: PruneRequest,
    options: { readonly signal?: AbortSignal; readonly onRemoved?: (entry: CacheEntry) => void } = {},
  ): Promise<{ readonly ids: readonly string[]; readonly bytes: number }> {
    return await this.#turn.run(() => this.#remove(pruneRule(request, this.#deps.clock.now()), options));
  }

  /** Removes by the policy; nothing when collection is switched off. */
  async collect(): Promise<void> {
    await this.#turn.run(async () => {
      const { records, policy, clock, log } = this.#deps;
      records.forgetKeys();
      for (const { id, result } of records.all()) if (result === undefined) await this.#deps.cache.drop(id);
      for (const { filters, unusedFor, ...bounds } of policy() ?? []) {
        const usedBefore = unusedFor === 0 ? undefined : clock.now() - unusedFor;
        const rule = { ...bounds, filter: parseEntryFilters(filters), usedBefore };
        const { ids, bytes } = await this.#remove(rule, {});
        if (ids.length > 0) log.info("collected what builds had kept", { count: ids.length, bytes });
      }
    });
  }

  /** A build has ended. */
  touch(): void {
    for (const what of ["sync", "collect"] as const) {
      clearTimeout(this.#timers.get(what));
      const timer = setTimeout(() => this.#begin(what), quiet[what]);
      timer.unref();
      this.#timers.set(what, timer);
    }
  }

  /** The policy may be another one: what is too much by now is collected beside whatever builds. */
  policyChanged(): void {
    clearTimeout(this.#timers.get("collect"));
    this.#begin("collect");
  }

  /** What was made is on disk, and nothing begins any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    if (this.#timers.size > 0) this.#begin("sync");
    await this.#work;
  }

  #begin(what: keyof typeof quiet): void {
    this.#timers.delete(what);
    const work = () => (what === "sync" ? this.#deps.cache.sync() : this.collect());
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#deps.log.warn(`the build cache: ${what} failed`, { error: messageOf(error) });
    });
  }

  async #remove(
    rule: PruneRule,
    options: { readonly signal?: AbortSignal; readonly onRemoved?: (entry: CacheEntry) => void },
  ): Promise<{ readonly ids: readonly string[]; readonly bytes: number }> {
    const entries = new Map((await this.entries()).map((entry) => [entry.id, entry]));
    const { availableBytes } = statFileSystem(this.#deps.snapshots.root);
    const ids: string[] = [];
    let bytes = 0;
    for (const id of planPrune([...entries.values()], rule, { free: availableBytes })) {
      options.signal?.throwIfAborted();
      const entry = entries.get(id);
      const freed = entry && (await this.#removeEntry(entry));
      if (!entry || freed === undefined) continue;
      ids.push(id);
      bytes += freed;
      options.onRemoved?.({ ...entry, size: freed });
    }
    this.#deps.pruned?.();
    return { ids, bytes };
  }

  async #removeEntry(entry: CacheEntry): Promise<number | undefined> {
    if (this.#deps.records.get(entry.id)) return await this.#deps.cache.drop(entry.id);
    for (const owner of this.#deps.objects()) if (await owner.remove(entry.id)) return entry.size;
    return undefined;
  }

  async #recordEntries(all: readonly CacheRecord[]): Promise<readonly CacheEntry[]> {
    const { records, layers, snapshots } = this.#deps;
    const shared = layers.imageLayers();
    const parents = new Map([...snapshots.list()].map(({ name, parent }) => [name, parent]));
    // Several records may have one snapshot, where a step changed nothing: the first one has its size.
    const owners = new Map<string, string>();
    const counted = new Set<string>();
    for (const { id, snapshot } of all)
      if (snapshot !== undefined && !owners.has(snapshot)) owners.set(snapshot, id);
    const own = new Map<string, string[]>();
    const entries: Omit<CacheEntry, "size">[] = [];
    for (const record of all) {
      const { id, snapshot, type, description, created, used, uses } = record;
      const counts: string[] = [];
      own.set(id, counts);
      // What no record names below it (an image's lower layers) is kept for its sake alone.
      let below: string | undefined = snapshot;
      const isOwner = snapshot !== undefined && owners.get(snapshot) === id;
      const isShared = snapshot !== undefined && shared.has(snapshot);
      for (; below !== undefined && (below === snapshot || !owners.has(below)); below = parents.get(below)) {
        // Images have what is theirs, and several records may stand on the same.
        if (!isOwner || counted.has(below) || (!isShared && shared.has(below))) continue;
        counted.add(below);
        counts.push(below);
      }
      const parent = below === undefined ? undefined : owners.get(below);
      const inUse = records.inUse(id);
      const above = parent === undefined ? [] : [parent];
      entries.push({ id, parents: above, type, description, inUse, shared: isShared, created, used, uses });
    }
    const files: CountedFiles = new Set();
    for (const name of snapshots.sharing()) if (shared.has(name)) await this.#sizeOf(name, files);
    const sizes = await this.#sizesOf(entries, own, files);
    return entries.map((entry) => ({ ...entry, size: sizes.get(entry.id) ?? 0 }));
  }

  /**
   * Files that layers share count with the one that will be there the longest, which was used last, so that a prune finds as much to
   * remove as it frees. `counted`: what images have.
   */
  async #sizesOf(
    entries: readonly Omit<CacheEntry, "size">[],
    layersOf: ReadonlyMap<string, readonly string[]>,
    counted: CountedFiles,
  ): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    const lastUse = ({ used, created }: Pick<CacheEntry, "used" | "created">) => used ?? created;
    const order = entries.toSorted((a, b) => lastUse(b) - lastUse(a) || b.created - a.created);
    for (const { id, shared } of order) {
      let size = 0;
      for (const layer of layersOf.get(id) ?? [])
        size += await this.#sizeOf(layer, shared ? new Set() : counted);
      sizes.set(id, size);
    }
    return sizes;
  }

  /** Measured once by the snapshotter; what goes meanwhile has none. */
  async #sizeOf(snapshot: string, counted: CountedFiles): Promise<number> {
    const { snapshots } = this.#deps;
    try {
      return (await snapshots.usage(snapshot, counted)).bytes;
    } catch (error) {
      if (snapshots.stat(snapshot) === undefined) return 0;
      throw error;
    }
  }
}

/** As GET /system/df and `builder du` have it. */
function wireEntry(entry: CacheEntry): WireEntry {
  const time = (ms: number) => formatRfc3339Nano(BigInt(Math.trunc(ms)) * 1_000_000n);
  return {
    ID: entry.id,
    ...(entry.parents.length > 0 ? { Parents: [...entry.parents] } : {}),
    Type: entry.type,
    Description: entry.description,
    InUse: entry.inUse,
    Shared: entry.shared,
    Size: entry.size,
    CreatedAt: time(entry.created),
    LastUsedAt: entry.used === undefined ? null : time(entry.used),
    UsageCount: entry.uses,
  };
}
