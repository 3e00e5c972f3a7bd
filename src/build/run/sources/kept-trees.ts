import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../base/lib/clock.ts";
import { conflict, notFound } from "../../../base/lib/errors.ts";
import { type ChainId, randomId } from "../../../base/lib/ids.ts";
import type { Log } from "../../../base/lib/log.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { measureTree } from "../../../core/snapshot/measure.ts";
import { inTurn } from "../in-turn.ts";
import { inSlices } from "../slices.ts";
import { applyTree, cloneTree } from "./tree-apply.ts";
import { type TreeEntry, TreeIndex } from "./tree-index.ts";
import { TreeReceiver } from "./tree-receiver.ts";
import { type FoundOfTree, type TreeIdentity, TreeSlot } from "./tree-slot.ts";
import { TreeStaging } from "./tree-staging.ts";

export interface KeptTreesDeps {
  /** A directory of its own below the data root. */
  readonly root: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this boot of the host: trees are not synced, so those of another boot are not trusted. */
  readonly bootId: string;
}

export interface KeptTree {
  readonly id: string;
  readonly description: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly lastUsed: number;
  readonly inUse: boolean;
}

/** A tree that stays as it is until it is disposed of. */
export interface HeldTree extends Disposable {
  /** Stands in place of a snapshot's name. */
  readonly name: ChainId;
  readonly path: string;
  readonly index: TreeIndex;
  readonly found: FoundOfTree;
}

const prefix = "tree:";
/** Trees kept of one directory, for Dockerfiles that leave different parts of it out. */
const idleLimit = 4;
/** Whether a result's snapshot is a kept tree, of which the snapshotter knows nothing. */
export function isKeptTree(snapshot: ChainId): boolean {
  return snapshot.startsWith(prefix);
}

/**
 * Contexts that clients sent, as directories that the next transfer of the same context begins from (`TreeSlot`). What has no record on disk, because it
 * was being changed, is removed at start: an interrupted transfer never leaves a file that looks current. A tree that a build reads does not change; who
 * sends another version meanwhile gets a clone of hard links.
 */
export class KeptTrees {
  readonly #deps: KeptTreesDeps;
  readonly #slots = new Map<string, TreeSlot>();
  readonly #locks = new KeyedMutex();
  /** Bytes on disk, and of which trees they were counted. */
  #measured: { readonly of: string; readonly sizes: ReadonlyMap<string, number> } = {
    of: "",
    sizes: new Map(),
  };

  private constructor(deps: KeptTreesDeps) {
    this.#deps = deps;
  }

  static async open(deps: KeptTreesDeps): Promise<KeptTrees> {
    mkdirSync(deps.root, { recursive: true, mode: 0o700 });
    const trees = new KeptTrees(deps);
    for (const id of readdirSync(deps.root)) await trees.#recover(id);
    return trees;
  }

  /**
   * Runs a transfer: `fill` has a client tell and send what its directory holds. Transfers of one owner wait for each other. Nothing of a
   * transfer that fails is kept.
   */
  async receive(
    identity: TreeIdentity,
    signal: AbortSignal,
    fill: (into: TreeReceiver) => Promise<void>,
    options: { readonly repeats?: boolean } = {},
  ): Promise<HeldTree> {
    return await inTurn(this.#locks, identity.owner, signal, async () => {
      const base = this.#baseFor(identity);
      using _base = base && this.#hold(base);
      await using staging = new TreeStaging(join(this.#deps.root, `incoming-${randomId().slice(0, 12)}`));
      // Read when the first entry is here, while the client goes on looking for the others.
      const receiver = new TreeReceiver(() => base?.index, staging, {
        ...options,
        lately: base?.isOf(identity) ? base.told() : undefined,
      });
      await fill(receiver);
      if (base && receiver.isUnchanged) {
        base.used(this.#deps.clock.now());
        return this.#hold(base);
      }
      const received = receiver.result();
      const kept = base?.index;
      if (base && kept && isSame(kept, received.entries) && base.isOf(identity)) {
        base.used(this.#deps.clock.now());
        return this.#hold(base);
      }
      const free = base !== undefined && base.readers === 1 && base.isOf(identity);
      const slot = free ? base : await this.#newSlot(identity, base, received.entries, signal);
      const before = slot.index;
      const change = async (tree: number) => {
        await inSlices(applyTree(tree, staging.dir, before, received), signal);
        return new TreeIndex(received.entries);
      };
      await this.#change(slot, identity, change, receiver.told);
      return this.#hold(slot);
    });
  }

  /** A tree with only those entries of another one that `keeps` names, as a clone of hard links; the same tree if these are all. */
  async derive(
    held: HeldTree,
    identity: TreeIdentity,
    keeps: (entry: TreeEntry) => boolean,
    signal: AbortSignal,
  ): Promise<HeldTree> {
    const wanted = [...held.index.entries].filter(([, entry]) => keeps(entry));
    const source = this.#slotOf(held.name);
    if (wanted.length === held.index.entries.size) return this.#hold(source);
    const entries = new Map(wanted);
    const slot = await this.#newSlot(identity, source, entries, signal);
    await this.#change(slot, identity, async () => new TreeIndex(entries));
    return this.#hold(slot);
  }

  /** A hold of its own on a tree that is held. */
  hold(name: ChainId): HeldTree {
    return this.#hold(this.#slotOf(name));
  }

  /** What a held tree holds; undefined for what is no kept tree. Throws not-found when it is not held (any more). */
  read(name: ChainId): TreeIndex | undefined {
    if (!isKeptTree(name)) return undefined;
    const slot = this.#slotOf(name);
    if (slot.readers === 0) throw notFound(`the build context ${name} is not held any more`);
    return slot.index;
  }

  path(name: ChainId): string {
    return this.#slotOf(name).tree;
  }

  list(): KeptTree[] {
    return [...this.#slots.values()].map(({ id, readers, facts }) => ({
      id,
      description: facts.description,
      bytes: facts.bytes,
      created: facts.created,
      lastUsed: facts.lastUsed,
      inUse: readers > 0,
    }));
  }

  /** Bytes on disk by id; what one tree shares with others counts with the first. Counted anew when any of them has changed. */
  async sizes(): Promise<ReadonlyMap<string, number>> {
    const of = JSON.stringify([...this.#slots.values()].map(({ id, generation }) => [id, generation]));
    if (this.#measured.of === of) return this.#measured.sizes;
    const seen = new Set<bigint>();
    const sizes = new Map<string, number>();
    for (const { id } of [...this.#slots.values()]) {
      try {
        sizes.set(id, (await measureTree(join(this.#deps.root, id), seen)).bytes);
      } catch (error) {
        // It went meanwhile.
        if (this.#slots.has(id)) throw error;
      }
    }
    this.#measured = { of, sizes };
    return sizes;
  }

  /** Throws conflict while a build reads it. Idempotent. */
  async remove(id: string): Promise<void> {
    const slot = this.#slots.get(id);
    if (!slot) return;
    if (slot.readers > 0) throw conflict(`the build context ${id} is in use`);
    this.#slots.delete(id);
    slot.unrecord();
    await removeDirectory(slot.directory);
  }

  #slotOf(name: ChainId): TreeSlot {
    const [id = "", generation = ""] = name.slice(prefix.length).split(".");
    const slot = this.#slots.get(id);
    if (!slot || slot.generation !== Number(generation)) throw notFound(`the build context ${name} is gone`);
    return slot;
  }

  #hold(slot: TreeSlot): HeldTree {
    slot.readers++;
    let held = true;
    return {
      name: `${prefix}${slot.id}.${slot.generation}` as ChainId,
      path: slot.tree,
      get index() {
        return slot.index;
      },
      found: slot.found,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--slot.readers > 0) return;
        slot.rest();
        this.#dropOld(slot);
      },
    };
  }

  /** Of an owner's idle trees, each identity's newest stays, and no more of these than are worth their inodes. */
  #dropOld(released: TreeSlot): void {
    const { owner, lasting } = released.facts;
    const kept = new Set<string>();
    const idle = [...this.#slots.values()]
      .filter((slot) => slot.readers === 0 && slot.facts.owner === owner)
      .sort((a, b) => b.facts.lastUsed - a.facts.lastUsed);
    for (const slot of idle) {
      const stays = lasting && !kept.has(slot.facts.key) && kept.size < idleLimit;
      kept.add(slot.facts.key);
      if (stays) continue;
      this.remove(slot.id).catch((error: unknown) => {
        this.#deps.log.warn("a kept build context could not be removed", { id: slot.id, error });
      });
    }
  }

  /** The tree of this identity, idle ones first; else any of the same owner, of which it will be a clone. */
  #baseFor(identity: TreeIdentity): TreeSlot | undefined {
    const related = [...this.#slots.values()].filter((slot) => slot.facts.owner === identity.owner);
    const rank = (slot: TreeSlot) => (slot.isOf(identity) ? (slot.readers === 0 ? 0 : 1) : 2);
    return related.sort((a, b) => rank(a) - rank(b) || b.facts.lastUsed - a.facts.lastUsed)[0];
  }

  /** An empty tree, or a clone of what `entries` has unchanged of `base`'s; it has no record yet. */
  async #newSlot(
    identity: TreeIdentity,
    base: TreeSlot | undefined,
    entries: ReadonlyMap<string, TreeEntry>,
    signal: AbortSignal,
  ): Promise<TreeSlot> {
    const { root, clock, bootId } = this.#deps;
    const id = randomId().slice(0, 20);
    const now = clock.now();
    const facts = { ...identity, boot: bootId, bytes: 0, created: now, lastUsed: now };
    const slot = new TreeSlot(root, id, { facts, generation: 0 });
    mkdirSync(slot.directory, { mode: 0o700 });
    mkdirSync(slot.tree, { mode: 0o755 });
    try {
      slot.begin(await this.#cloneInto(slot, base, entries, signal));
      return slot;
    } catch (error) {
      await removeDirectory(slot.directory);
      throw error;
    }
  }

  async #cloneInto(
    slot: TreeSlot,
    base: TreeSlot | undefined,
    entries: ReadonlyMap<string, TreeEntry>,
    signal: AbortSignal,
  ): Promise<TreeIndex> {
    if (!base) return new TreeIndex(new Map());
    const kept = base.index;
    const shared = new Map<string, TreeEntry>();
    for (const [path, entry] of entries) {
      const old = kept.entries.get(path);
      const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
      if (!old || (parent !== "" && !shared.has(parent))) continue;
      if (old === entry || (old.kind === "directory" && entry.kind === "directory")) shared.set(path, old);
    }
    const from = openat(AT_FDCWD, base.tree, O.RDONLY | O.DIRECTORY);
    try {
      const to = openat(AT_FDCWD, slot.tree, O.RDONLY | O.DIRECTORY);
      try {
        await inSlices(cloneTree(from, to, shared.values()), signal);
      } finally {
        closeFd(to);
      }
    } finally {
      closeFd(from);
    }
    return new TreeIndex(shared);
  }

  /** A tree whose change fails half way is removed: the next transfer sends everything. */
  async #change(
    slot: TreeSlot,
    identity: TreeIdentity,
    change: (tree: number) => Promise<TreeIndex>,
    told?: Uint8Array,
  ): Promise<void> {
    const { clock, bootId } = this.#deps;
    slot.unrecord();
    try {
      const tree = openat(AT_FDCWD, slot.tree, O.RDONLY | O.DIRECTORY);
      let index: TreeIndex;
      try {
        index = await change(tree);
      } finally {
        closeFd(tree);
      }
      slot.changed(index, { ...identity, boot: bootId, lastUsed: clock.now() }, told);
      this.#slots.set(slot.id, slot);
    } catch (error) {
      this.#slots.delete(slot.id);
      await removeDirectory(slot.directory);
      throw error;
    }
  }

  async #recover(id: string): Promise<void> {
    try {
      const slot = await TreeSlot.recover(this.#deps.root, id);
      if (slot.facts.boot === this.#deps.bootId) {
        this.#slots.set(id, slot);
        return;
      }
    } catch (error) {
      this.#deps.log.debug("a build context that was being changed is removed", { id, error });
    }
    await removeDirectory(join(this.#deps.root, id));
  }
}

function isSame(kept: TreeIndex, entries: ReadonlyMap<string, TreeEntry>): boolean {
  if (kept.entries.size !== entries.size) return false;
  for (const [path, entry] of entries) if (kept.entries.get(path) !== entry) return false;
  return true;
}
