import type { Clock } from "../../base/lib/clock.ts";
import { internal, isCode } from "../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import type { Snapshotter } from "../../core/snapshot/snapshotter.ts";
import { HeldResult } from "./held-result.ts";
import type { CacheObjects } from "./objects.ts";
import type { CacheRecord, CacheRecords } from "./records.ts";
import { type BuildSnapshots, buildPrefix } from "./step-snapshots.ts";

/** What images say of layers that the cache has, too. */
export interface ImageLayers {
  /** Layers that images are made of. */
  imageLayers(): ReadonlySet<string>;
  /** Removes a layer unless an image, a container or another layer needs it; says whether it went. */
  release(layer: ChainId): Promise<boolean>;
}

export interface BuildCacheDeps {
  readonly records: CacheRecords;
  readonly steps: BuildSnapshots;
  readonly snapshots: Snapshotter;
  readonly layers: ImageLayers;
  /** Asked anew each time: who keeps things for builds is made after the cache. */
  readonly objects: () => readonly CacheObjects[];
  readonly clock: Clock;
  readonly log: Log;
}

/** Results that are kept: their records and their snapshots, which go together. */
export class BuildCache {
  readonly #deps: BuildCacheDeps;
  readonly #syncing = new Mutex();

  constructor(deps: BuildCacheDeps) {
    this.#deps = deps;
  }

  /** The record of a result that is there; a record whose snapshot is lost goes. */
  find(result: Digest): CacheRecord | undefined {
    const { records, steps } = this.#deps;
    const record = records.find(result);
    if (!record || record.snapshot === undefined) return record;
    if (steps.isDoubtful(record.snapshot)) return undefined;
    if (steps.exists(record.snapshot)) return record;
    records.remove(record.id);
    return undefined;
  }

  /** Keeps it in use for as long as the result is held. */
  take(record: Pick<CacheRecord, "id" | "snapshot">, result: Digest): HeldResult {
    const { steps, records } = this.#deps;
    return new HeldResult(steps, result, record.snapshot, () => records.hold(record.id));
  }

  /** A result that is nobody's record; `release` is called when nobody holds it any more. */
  unrecorded(result: Digest, snapshot: ChainId | undefined, release: () => void): HeldResult {
    let holders = 0;
    const hold = () => {
      holders++;
      return { [Symbol.dispose]: () => void (--holders === 0 && release()) };
    };
    return new HeldResult(this.#deps.steps, result, snapshot, hold);
  }

  /** Records what a step made and takes it. */
  store(made: Parameters<CacheRecords["insert"]>[0], keys: readonly Digest[]): HeldResult {
    const { steps } = this.#deps;
    const snapshot = made.snapshot === undefined ? undefined : steps.current(made.snapshot);
    const record = this.#record({ ...made, snapshot }, keys);
    // With what it stands on: a runner may have made more than the one tree.
    for (let name: string | undefined = snapshot; name?.startsWith(buildPrefix); )
      name = steps.recorded(name as ChainId);
    return this.take(record, made.result);
  }

  #record(made: Parameters<CacheRecords["insert"]>[0], keys: readonly Digest[]): CacheRecord {
    const { records, steps } = this.#deps;
    try {
      const record = records.insert(made);
      records.addKeys(made.result, keys);
      if (made.snapshot !== undefined && steps.isDoubtful(made.snapshot)) records.distrust([record.id]);
      return record;
    } catch (error) {
      // A full disk. Without a record no prune would find it.
      if (made.snapshot !== undefined) steps.abandon(made.snapshot);
      throw error;
    }
  }

  /** Removes what a step made and nobody recorded. */
  async discard(snapshot: ChainId): Promise<void> {
    await this.#deps.steps.discard(snapshot);
  }

  /** Gives a step's snapshot the chain id that its layers have; what the name promises is on disk before. */
  async name(snapshot: ChainId, chainId: ChainId): Promise<void> {
    const { records, steps } = this.#deps;
    if (!steps.current(snapshot).startsWith(buildPrefix)) return;
    await this.sync();
    const from = steps.current(snapshot);
    if (!from.startsWith(buildPrefix)) return;
    if (steps.isDoubtful(from)) throw internal(`the files of snapshot ${from} may not all be on the disk`);
    // First: the durable rename carries it along.
    records.renamed(from, chainId);
    try {
      steps.rename(from, chainId);
    } catch (error) {
      if (!steps.exists(chainId)) records.renamed(chainId, from);
      throw error;
    }
  }

  /** Has on disk what was made so far. */
  async sync(): Promise<void> {
    await this.#syncing.run(async () => {
      const { records, steps } = this.#deps;
      const ids = records.unsynced().map(({ id }) => id);
      if (ids.length === 0 && !steps.unsynced) return;
      try {
        await steps.sync();
      } catch (error) {
        this.#distrust();
        throw error;
      }
      records.settle(ids);
    });
  }

  #distrust(): void {
    const { records, log } = this.#deps;
    try {
      records.distrust(records.unsynced().map(({ id }) => id));
    } catch (error) {
      log.warn("results of builds that may be lost are still recorded", { error });
    }
  }

  /** Whether a layer is not garbage because of builds: all of steps, which only the cache removes, and those of images that it keeps. */
  keeps(layer: string): boolean {
    return layer.startsWith(buildPrefix) || this.#deps.records.names(layer);
  }

  /**
   * Makes records and snapshots agree after a start, before images do so: what was being made goes, records without snapshot go, snapshots
   * of steps without record go. What had not been synced in another boot is not to be trusted: the machine may have gone down.
   */
  async recover(): Promise<void> {
    const { records, snapshots, log } = this.#deps;
    const unsafe = new Set(records.unsynced().flatMap(({ id, lost }) => (lost ? [id] : [])));
    let dropped = 0;
    for (const { id, snapshot } of records.all()) {
      if (!unsafe.has(id) && (snapshot === undefined || snapshots.stat(snapshot))) continue;
      records.remove(id);
      dropped++;
    }
    if (dropped > 0) log.info("results of builds were not kept", { count: dropped, unsynced: unsafe.size });
    await this.sweep();
  }

  /** Removes snapshots of steps that no record names and nobody holds. */
  async sweep(): Promise<void> {
    const { records, snapshots, steps, objects } = this.#deps;
    const kept = new Set(objects().flatMap((owner) => [...(owner.snapshots?.() ?? [])]));
    for (let removed = true; removed; ) {
      removed = false;
      for (const { name, kind } of [...snapshots.list()]) {
        if (!name.startsWith(buildPrefix) || kept.has(name) || records.names(name)) continue;
        if (steps.holds(name as ChainId) || (kind === "active" && steps.busy)) continue;
        removed = (await this.#remove(name as ChainId)) || removed;
      }
    }
  }

  /**
   * Removes a record, its snapshot, and what lay below only for its sake; returns the bytes that this gave back. Undefined: it came into
   * use meanwhile.
   */
  async drop(id: string): Promise<number | undefined> {
    const { records, snapshots } = this.#deps;
    const record = records.get(id);
    if (!record || records.inUse(id)) return undefined;
    records.remove(id);
    let freed = 0;
    for (let name: string | undefined = record.snapshot; name !== undefined; ) {
      const info = snapshots.stat(name);
      if (!info || records.names(name) || this.#deps.steps.holds(name as ChainId)) break;
      const bytes = await this.#reclaimable(name);
      // It may have been recorded again while it was measured, or have gone with an image.
      if (bytes === undefined || records.names(name) || !(await this.#remove(name as ChainId))) break;
      freed += bytes;
      name = info.parent;
    }
    return freed;
  }

  /** Undefined for one that goes meanwhile. */
  async #reclaimable(name: string): Promise<number | undefined> {
    const { snapshots } = this.#deps;
    try {
      return await snapshots.reclaimable(name);
    } catch (error) {
      if (snapshots.stat(name) === undefined) return undefined;
      throw error;
    }
  }

  /** False while something needs it. */
  async #remove(name: ChainId): Promise<boolean> {
    if (!name.startsWith(buildPrefix)) return await this.#deps.layers.release(name);
    const { snapshots, log } = this.#deps;
    try {
      await snapshots.remove(name);
    } catch (error) {
      if (isCode(error, "conflict")) return false;
      if (snapshots.stat(name) !== undefined) throw error;
      // It is gone all the same; its files are tried again with whatever is removed next.
      log.warn("files of a build's snapshot could not be removed", { snapshot: name, error });
    }
    return true;
  }
}
