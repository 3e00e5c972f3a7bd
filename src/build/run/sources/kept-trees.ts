import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../../base/lib/clock.ts";
import { conflict, notFound } from "../../../base/lib/errors.ts";
import { type ChainId, type Digest, randomId } from "../../../base/lib/ids.ts";
import type { Log } from "../../../base/lib/log.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { AT_FDCWD, closeFd, O, openat } from "../../../base/sys/at.ts";
import { removeDirectory } from "../../../base/sys/remove-tree.ts";
import { measureTree } from "../../../core/snapshot/directories.ts";
import { inSlices } from "../file/slices.ts";
import { inTurn } from "../in-turn.ts";
import { applyTree, cloneTree } from "./tree-apply.ts";
import { decodeIndex, encodeIndex, type TreeEntry, TreeIndex } from "./tree-index.ts";
import { TreeReceiver } from "./tree-receiver.ts";
import { TreeStaging } from "./tree-staging.ts";

export interface KeptTreesDeps {
  /** A directory of its own below the data root. */
  readonly root: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this boot of the host: trees are not synced, so those of another boot are not trusted. */
  readonly bootId: string;
}

/** Whose tree it is. Trees of one `owner` resemble each other; `key` tells them apart. */
export interface TreeIdentity {
  readonly owner: string;
  readonly key: string;
  /** What `builder du` shows. */
  readonly description: string;
  /** false: nobody will ask for it again, and it goes with its last hold. */
  readonly lasting: boolean;
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

/** What was found out of a tree as it is; all who hold it have the same. */
export interface FoundOfTree {
  /** Of its contents as a whole. */
  digest: Digest | undefined;
}

interface SlotFacts extends TreeIdentity {
  readonly boot: string;
  readonly bytes: number;
  readonly created: number;
  lastUsed: number;
}

interface Slot {
  readonly id: string;
  facts: SlotFacts;
  generation: number;
  readers: number;
  /** Loaded while somebody needs it. */
  index: TreeIndex | undefined;
  /** The same afterwards, until the memory is wanted for something else: the next build of the directory begins with it. */
  lately: WeakRef<TreeIndex> | undefined;
  found: FoundOfTree;
  /** Milliseconds since the epoch: when its use was noted on disk. */
  noted: number;
}

const prefix = "tree:";
/** Trees kept of one directory, for Dockerfiles that leave different parts of it out. */
const idleLimit = 4;
/** Uses are noted on disk this often, in milliseconds: they only say which tree goes first. */
const noteEvery = 60_000;

/** Whether a result's snapshot is a kept tree, of which the snapshotter knows nothing. */
export function isKeptTree(snapshot: ChainId): boolean {
  return snapshot.startsWith(prefix);
}

/**
 * Contexts that clients sent, as directories that the next transfer of the same context begins from: `<root>/<slot>/tree`, with what is in it
 * (`entries.json`, contents' digests included), how the client told it (`told`) and whose it is (`slot.json`). `slot.json` is away while a tree is changed, and what
 * has none is removed at start: an interrupted transfer never leaves a file that looks current. A tree that a build reads does not change; who
 * sends another version meanwhile gets a clone of hard links.
 */
export class KeptTrees {
  readonly #deps: KeptTreesDeps;
  readonly #slots = new Map<string, Slot>();
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
      const receiver = new TreeReceiver(() => base && this.#indexOf(base), staging, {
        ...options,
        lately: base && isOf(base, identity) ? this.#toldOf(base) : undefined,
      });
      await fill(receiver);
      if (base && receiver.isUnchanged) {
        this.#used(base);
        return this.#hold(base);
      }
      const received = receiver.result();
      const kept = base && this.#indexOf(base);
      if (base && kept && isSame(kept, received.entries) && isOf(base, identity)) {
        this.#used(base);
        return this.#hold(base);
      }
      const free = base !== undefined && base.readers === 1 && isOf(base, identity);
      const slot = free ? base : await this.#newSlot(identity, base, received.entries, signal);
      const before = free ? kept : slot.index;
      const change = async (tree: number) => {
        await inSlices(applyTree(tree, staging.dir, before ?? emptyIndex(), received), signal);
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
    return this.#indexOf(slot);
  }

  path(name: ChainId): string {
    return this.#path(this.#slotOf(name), "tree");
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
    rmSync(this.#path(slot, "slot.json"), { force: true });
    await removeDirectory(join(this.#deps.root, id));
  }

  #path(slot: { readonly id: string }, name: string): string {
    return join(this.#deps.root, slot.id, name);
  }

  #slotOf(name: ChainId): Slot {
    const [id = "", generation = ""] = name.slice(prefix.length).split(".");
    const slot = this.#slots.get(id);
    if (!slot || slot.generation !== Number(generation)) throw notFound(`the build context ${name} is gone`);
    return slot;
  }

  #hold(slot: Slot): HeldTree {
    const index = () => this.#indexOf(slot);
    slot.readers++;
    let held = true;
    return {
      name: `${prefix}${slot.id}.${slot.generation}` as ChainId,
      path: this.#path(slot, "tree"),
      get index() {
        return index();
      },
      found: slot.found,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--slot.readers > 0) return;
        if (slot.index) slot.lately = new WeakRef(slot.index);
        slot.index = undefined;
        this.#dropOld(slot);
      },
    };
  }

  /** Of an owner's idle trees, each identity's newest stays, and no more of these than are worth their inodes. */
  #dropOld(released: Slot): void {
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
  #baseFor(identity: TreeIdentity): Slot | undefined {
    const related = [...this.#slots.values()].filter((slot) => slot.facts.owner === identity.owner);
    const rank = (slot: Slot) => (isOf(slot, identity) ? (slot.readers === 0 ? 0 : 1) : 2);
    return related.sort((a, b) => rank(a) - rank(b) || b.facts.lastUsed - a.facts.lastUsed)[0];
  }

  /** What the client told of it when it last sent something. */
  #toldOf(slot: Slot): Uint8Array | undefined {
    try {
      return readFileSync(this.#path(slot, "told"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  #indexOf(slot: Slot): TreeIndex {
    slot.index ??=
      slot.lately?.deref() ?? decodeIndex(readFileSync(this.#path(slot, "entries.json"), "utf8"));
    return slot.index;
  }

  /** An empty tree, or a clone of what `entries` has unchanged of `base`'s; it has no record yet. */
  async #newSlot(
    identity: TreeIdentity,
    base: Slot | undefined,
    entries: ReadonlyMap<string, TreeEntry>,
    signal: AbortSignal,
  ): Promise<Slot> {
    const { root, clock, bootId } = this.#deps;
    const id = randomId().slice(0, 20);
    const now = clock.now();
    const facts = { ...identity, boot: bootId, bytes: 0, created: now, lastUsed: now };
    const slot = newSlot(id, facts, 0);
    mkdirSync(join(root, id), { mode: 0o700 });
    mkdirSync(join(root, id, "tree"), { mode: 0o755 });
    try {
      slot.index = await this.#cloneInto(slot, base, entries, signal);
      return slot;
    } catch (error) {
      await removeDirectory(join(root, id));
      throw error;
    }
  }

  async #cloneInto(
    slot: Slot,
    base: Slot | undefined,
    entries: ReadonlyMap<string, TreeEntry>,
    signal: AbortSignal,
  ): Promise<TreeIndex> {
    if (!base) return emptyIndex();
    const kept = this.#indexOf(base);
    const shared = new Map<string, TreeEntry>();
    for (const [path, entry] of entries) {
      const old = kept.entries.get(path);
      const parent = path.slice(0, Math.max(path.lastIndexOf("/"), 0));
      if (!old || (parent !== "" && !shared.has(parent))) continue;
      if (old === entry || (old.kind === "directory" && entry.kind === "directory")) shared.set(path, old);
    }
    const from = openat(AT_FDCWD, this.#path(base, "tree"), O.RDONLY | O.DIRECTORY);
    try {
      const to = openat(AT_FDCWD, this.#path(slot, "tree"), O.RDONLY | O.DIRECTORY);
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
    slot: Slot,
    identity: TreeIdentity,
    change: (tree: number) => Promise<TreeIndex>,
    told?: Uint8Array,
  ): Promise<void> {
    const { root, clock, bootId } = this.#deps;
    rmSync(this.#path(slot, "slot.json"), { force: true });
    try {
      const tree = openat(AT_FDCWD, this.#path(slot, "tree"), O.RDONLY | O.DIRECTORY);
      try {
        slot.index = await change(tree);
      } finally {
        closeFd(tree);
      }
      writeFileSync(this.#path(slot, "entries.json"), encodeIndex(slot.index), { mode: 0o600 });
      if (told) writeFileSync(this.#path(slot, "told"), told, { mode: 0o600 });
      else rmSync(this.#path(slot, "told"), { force: true });
      slot.facts = {
        ...identity,
        boot: bootId,
        bytes: slot.index.bytes,
        created: slot.facts.created,
        lastUsed: clock.now(),
      };
      slot.generation++;
      slot.found = { digest: undefined };
      this.#slots.set(slot.id, slot);
      this.#record(slot);
    } catch (error) {
      this.#slots.delete(slot.id);
      await removeDirectory(join(root, slot.id));
      throw error;
    }
  }

  #used(slot: Slot): void {
    const now = this.#deps.clock.now();
    slot.facts.lastUsed = now;
    if (now - slot.noted >= noteEvery) this.#record(slot);
  }

  #record(slot: Slot): void {
    writeFileSync(this.#path(slot, "slot.part"), JSON.stringify(slot.facts), { mode: 0o600 });
    renameSync(this.#path(slot, "slot.part"), this.#path(slot, "slot.json"));
    slot.noted = slot.facts.lastUsed;
  }

  async #recover(id: string): Promise<void> {
    try {
      const facts = (await Bun.file(this.#path({ id }, "slot.json")).json()) as SlotFacts;
      if (facts.boot === this.#deps.bootId) {
        this.#slots.set(id, newSlot(id, facts, 1));
        return;
      }
    } catch (error) {
      this.#deps.log.debug("a build context that was being changed is removed", { id, error });
    }
    await removeDirectory(join(this.#deps.root, id));
  }
}

function newSlot(id: string, facts: SlotFacts, generation: number): Slot {
  const found = { digest: undefined };
  return { id, facts, generation, readers: 0, index: undefined, lately: undefined, found, noted: 0 };
}

function emptyIndex(): TreeIndex {
  return new TreeIndex(new Map());
}

function isOf(slot: Slot, identity: TreeIdentity): boolean {
  return slot.facts.owner === identity.owner && slot.facts.key === identity.key;
}

function isSame(kept: TreeIndex, entries: ReadonlyMap<string, TreeEntry>): boolean {
  if (kept.entries.size !== entries.size) return false;
  for (const [path, entry] of entries) if (kept.entries.get(path) !== entry) return false;
  return true;
}
