import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../../../base/lib/ids.ts";
import { decodeIndex, encodeIndex, type TreeIndex } from "./tree-index.ts";

/** Whose tree it is. Trees of one `owner` resemble each other; `key` tells them apart. */
export interface TreeIdentity {
  readonly owner: string;
  readonly key: string;
  /** What `builder du` shows. */
  readonly description: string;
  /** false: nobody will ask for it again, and it goes with its last hold. */
  readonly lasting: boolean;
}

/** What was found out of a tree as it is; all who hold it have the same. */
export interface FoundOfTree {
  /** Of its contents as a whole. */
  digest: Digest | undefined;
}

export interface SlotFacts extends TreeIdentity {
  /** Of the boot of the host in which it was written. */
  readonly boot: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly lastUsed: number;
}

/** Uses are noted on disk this often, in milliseconds: they only say which tree goes first. */
const noteEvery = 60_000;

/**
 * Where a kept tree lies, and what is known of it: `<root>/<id>/tree`, with what is in it (`entries.json`, contents' digests included), how the
 * client told it (`told`) and whose it is (`slot.json`). `slot.json` is away while the tree is changed.
 */
export class TreeSlot {
  readonly id: string;
  /** Counts the versions of the tree: a name of an earlier one leads nowhere. */
  generation: number;
  /** Holds on it. */
  readers = 0;
  found: FoundOfTree = { digest: undefined };
  readonly #root: string;
  #facts: SlotFacts;
  /** Loaded while somebody needs it. */
  #index: TreeIndex | undefined;
  /** The same afterwards, until the memory is wanted for something else: the next build of the directory begins with it. */
  #lately: WeakRef<TreeIndex> | undefined;
  /** Milliseconds since the epoch: when its use was noted on disk. */
  #noted = 0;

  constructor(root: string, id: string, made: { readonly facts: SlotFacts; readonly generation: number }) {
    this.#root = root;
    this.id = id;
    this.#facts = made.facts;
    this.generation = made.generation;
  }

  /** One that an earlier daemon left; throws when its tree was being changed. */
  static async recover(root: string, id: string): Promise<TreeSlot> {
    const facts = (await Bun.file(join(root, id, "slot.json")).json()) as SlotFacts;
    return new TreeSlot(root, id, { facts, generation: 1 });
  }

  get facts(): SlotFacts {
    return this.#facts;
  }

  get directory(): string {
    return join(this.#root, this.id);
  }

  get tree(): string {
    return this.#path("tree");
  }

  get index(): TreeIndex {
    this.#index ??= this.#lately?.deref() ?? decodeIndex(readFileSync(this.#path("entries.json"), "utf8"));
    return this.#index;
  }

  isOf(identity: TreeIdentity): boolean {
    return this.#facts.owner === identity.owner && this.#facts.key === identity.key;
  }

  /** What the client told of it when it last sent something. */
  told(): Uint8Array | undefined {
    try {
      return readFileSync(this.#path("told"));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  used(now: number): void {
    this.#facts = { ...this.#facts, lastUsed: now };
    if (now - this.#noted >= noteEvery) this.#record();
  }

  /** Nobody needs it for now. */
  rest(): void {
    if (this.#index) this.#lately = new WeakRef(this.#index);
    this.#index = undefined;
  }

  /** The tree is about to change: until `changed` nothing on disk says that it is current. */
  unrecord(): void {
    rmSync(this.#path("slot.json"), { force: true });
  }

  /** What a tree that is being made has so far; `changed` writes it down. */
  begin(index: TreeIndex): void {
    this.#index = index;
  }

  /** The tree is another one now. */
  changed(index: TreeIndex, facts: Omit<SlotFacts, "bytes" | "created">, told: Uint8Array | undefined): void {
    this.#index = index;
    writeFileSync(this.#path("entries.json"), encodeIndex(index), { mode: 0o600 });
    if (told) writeFileSync(this.#path("told"), told, { mode: 0o600 });
    else rmSync(this.#path("told"), { force: true });
    this.#facts = { ...facts, bytes: index.bytes, created: this.#facts.created };
    this.generation++;
    this.found = { digest: undefined };
    this.#record();
  }

  #record(): void {
    writeFileSync(this.#path("slot.part"), JSON.stringify(this.#facts), { mode: 0o600 });
    renameSync(this.#path("slot.part"), this.#path("slot.json"));
    this.#noted = this.#facts.lastUsed;
  }

  #path(name: string): string {
    return join(this.#root, this.id, name);
  }
}
