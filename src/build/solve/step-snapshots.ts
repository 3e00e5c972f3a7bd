import { mkdirSync } from "node:fs";
import { type ChainId, randomId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Mount, SnapshotLayout, Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { ActiveStep, StepSnapshots, WriteSnapshot } from "../run/runner.ts";

/** Everything named so is the builder's own. */
export const buildPrefix = "build-";

export interface BuildSnapshotsDeps {
  readonly snapshots: Snapshotter;
  /** A directory that is made and stays empty: what a view of nothing shows. */
  readonly empty: string;
  readonly log: Log;
}

/**
 * Snapshots of build steps. They are written through mounts that wait for no disk and committed so; `sync` makes up for it once for
 * all of them. A name may change while somebody holds it: all calls here take the earlier ones, too.
 */
export class BuildSnapshots implements StepSnapshots {
  readonly #deps: BuildSnapshotsDeps;
  /** Earlier names, for as long as somebody may have one in hand. */
  readonly #aliases = new Map<ChainId, ChainId>();
  readonly #leases = new Set<object>();
  /** Snapshots whose place another took, and who may still have their files mounted. */
  readonly #retired = new Map<ChainId, Set<object>>();
  readonly #removals = new Set<Promise<void>>();
  /** Made here and in nobody's records: a source's tree, a step's until it is recorded. */
  readonly #loose = new Set<ChainId>();
  /** Made since the last `sync`. */
  readonly #unsynced = new Set<ChainId>();
  #writing: Promise<void> | undefined;
  /** What went wrong with it. */
  #lost: unknown;
  /** What was to be written when that failed, and what stands on it: the kernel tells of lost writes once, so no later `sync` speaks of these. */
  readonly #doubtful = new Set<ChainId>();

  constructor(deps: BuildSnapshotsDeps) {
    this.#deps = deps;
    mkdirSync(deps.empty, { recursive: true, mode: 0o755 });
  }

  async make(parent: ChainId | undefined, write: WriteSnapshot): Promise<ChainId> {
    const { snapshots } = this.#deps;
    const active = await this.#prepare(parent);
    const name = active.key.slice(0, -activeSuffix.length) as ChainId;
    let base: string | undefined;
    try {
      await write(active, (path) => {
        base = path;
      });
      await snapshots.commit(name, active.key, { relaxed: true, base });
    } catch (error) {
      await this.#discard(active.key);
      throw error;
    }
    this.#loose.add(name);
    this.#unsynced.add(name);
    if (parent !== undefined && this.#doubtful.has(this.current(parent))) this.#doubtful.add(name);
    return name;
  }

  async scratch(parent: ChainId | undefined): Promise<ActiveStep & AsyncDisposable> {
    const active = await this.#prepare(parent);
    return { ...active, [Symbol.asyncDispose]: () => this.#deps.snapshots.remove(active.key) };
  }

  view(snapshot: ChainId | undefined): readonly Mount[] {
    if (snapshot === undefined) return [{ type: "bind", source: this.#deps.empty, options: ["ro"] }];
    // A source may keep its tree writable between builds: who looks at it may not write.
    return this.#deps.snapshots.mounts(this.current(snapshot)).map((mount) => ({
      ...mount,
      options: mount.options.map((option) => (option === "rw" ? "ro" : option)),
    }));
  }

  layout(snapshot: ChainId): SnapshotLayout {
    return this.#deps.snapshots.layout(this.current(snapshot));
  }

  filesShared(...paths: readonly string[]): void {
    this.#deps.snapshots.filesShared(...paths);
  }

  exists(snapshot: ChainId): boolean {
    return this.#deps.snapshots.stat(snapshot) !== undefined;
  }

  /** The name that a snapshot goes by now. */
  current(snapshot: ChainId): ChainId {
    let name = snapshot;
    for (let next = this.#aliases.get(name); next !== undefined; next = this.#aliases.get(name)) name = next;
    return name;
  }

  /** While it is held, files of snapshots that are replaced meanwhile stay. */
  lease(): Disposable {
    const lease = {};
    this.#leases.add(lease);
    return {
      [Symbol.dispose]: () => {
        if (!this.#leases.delete(lease)) return;
        for (const [name, holders] of this.#retired) {
          holders.delete(lease);
          if (holders.size === 0) this.#remove(name);
        }
        if (this.#leases.size === 0) this.#aliases.clear();
      },
    };
  }

  /** A record names it, or what stands on it, from now on; returns what it stands on itself, unless all that was recorded before. */
  recorded(snapshot: ChainId): string | undefined {
    const name = this.current(snapshot);
    return this.#loose.delete(name) ? this.#deps.snapshots.stat(name)?.parent : undefined;
  }

  /** Somebody here may still need it, though no record names it. */
  holds(snapshot: ChainId): boolean {
    return this.#loose.has(snapshot) || this.#retired.has(snapshot);
  }

  async discard(snapshot: ChainId): Promise<void> {
    for (let name: string | undefined = this.current(snapshot); name !== undefined; ) {
      if (!this.#loose.delete(name as ChainId)) return;
      const parent: string | undefined = this.#deps.snapshots.stat(name)?.parent;
      this.#unsynced.delete(name as ChainId);
      this.#doubtful.delete(name as ChainId);
      await this.#discard(name);
      name = parent;
    }
  }

  /** `discard`, for who cannot wait for it. */
  abandon(snapshot: ChainId): void {
    this.#awaitRemoval(this.discard(snapshot));
  }

  /** Something may be in the making. */
  get busy(): boolean {
    return this.#leases.size > 0;
  }

  /** See `Snapshotter.rename`; what is replaced goes when nobody can have it mounted any more. */
  rename(from: ChainId, to: ChainId): void {
    const { snapshots } = this.#deps;
    const replaced = snapshots.stat(to) !== undefined;
    snapshots.rename(from, to);
    this.#loose.delete(from);
    if (this.#leases.size > 0) this.#aliases.set(from, to);
    if (!replaced) return;
    this.#retired.set(from, new Set(this.#leases));
    if (this.#leases.size === 0) this.#remove(from);
  }

  get unsynced(): boolean {
    return this.#unsynced.size > 0;
  }

  /** Gives what was made so far to the disk, while more is made: the `sync` at the end has less to wait for. */
  writeBehind(): void {
    const { snapshots } = this.#deps;
    if (this.#unsynced.size === 0) return;
    this.#writing ??= snapshots
      .writeBack()
      .catch((error: unknown) => {
        // The kernel tells of lost writes once: the next `sync` would hear of none.
        this.#lost = error;
      })
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async sync(): Promise<void> {
    const before = [...this.#unsynced];
    await this.#writing;
    try {
      const lost = this.#lost;
      this.#lost = undefined;
      if (lost !== undefined) throw lost;
      await this.#deps.snapshots.sync();
      for (const name of before) this.#unsynced.delete(name);
    } catch (error) {
      for (const name of this.#unsynced) this.#doubtful.add(name);
      throw error;
    }
  }

  /** Its files may be short although a `sync` since said otherwise. */
  isDoubtful(snapshot: ChainId): boolean {
    return this.#doubtful.has(snapshot);
  }

  /** Resolves when what was retired and is free is gone, and what was abandoned. */
  async settled(): Promise<void> {
    await Promise.all(this.#removals);
  }

  async #prepare(parent: ChainId | undefined): Promise<ActiveStep> {
    const { snapshots } = this.#deps;
    const key = `${buildPrefix}${randomId().slice(0, 24)}${activeSuffix}`;
    const below = parent === undefined ? undefined : this.current(parent);
    const mounts = await snapshots.prepare(key, below, { volatile: true });
    return { key, mounts, layout: snapshots.layout(key) };
  }

  #remove(name: ChainId): void {
    this.#retired.delete(name);
    this.#awaitRemoval(this.#discard(name));
  }

  #awaitRemoval(work: Promise<void>): void {
    const removal = work.finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  /** What cannot be removed now goes at the next start. */
  async #discard(name: string): Promise<void> {
    try {
      await this.#deps.snapshots.remove(name);
    } catch (error) {
      this.#deps.log.warn("a build's snapshot could not be removed", { snapshot: name, error });
    }
  }
}

const activeSuffix = "-rw";
