import { TugError } from "../../../base/lib/errors.ts";
import type { ChainId, DiffId } from "../../../base/lib/ids.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { ContentStore } from "../../content/content.ts";
import type { LayerStacks } from "../../snapshot/layer-stacks.ts";
import { layersOf } from "../../snapshot/lower-view.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import type { LayerSource } from "../image.ts";
import type { LayerRecords } from "../layers.ts";
import type { EarlyLayer } from "./early-layer.ts";
import { wrongDiffId } from "./unpack-layer.ts";

export interface LayerStackDeps {
  readonly content: ContentStore;
  readonly snapshots: Snapshotter & LayerStacks;
  readonly layers: LayerRecords;
  /** Begins to unpack a blob that is complete. */
  readonly begin: (path: string, size: number) => Promise<EarlyLayer>;
  /** Held from when a layer is found to be missing until it is committed: others who want it wait, and find it. */
  readonly lock: (name: ChainId) => Promise<Disposable>;
}

/** An unpacker on a driver that can put layers together when they are committed. */
export interface StackUnpacker {
  /** Begins to unpack a blob that will have `size` bytes; undefined where the driver cannot, and while enough others are arriving. */
  begin(path: string, size: number): Promise<EarlyLayer | undefined>;
  /** Undefined where the driver cannot. */
  stack(): LayerStack | undefined;
}

export interface StackOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

interface Waiting {
  readonly name: ChainId;
  readonly diffId: DiffId;
  readonly early: EarlyLayer;
  readonly size: number;
  readonly inheritsRoot: boolean;
}

/**
 * The layers of one image, bottom first: each is unpacked as it is put, and all that are new become layers at once by `commit`, with one
 * sync for all their files. Disposal takes away what was not committed.
 */
export class LayerStack implements AsyncDisposable {
  readonly #deps: LayerStackDeps;
  readonly #resources = new AsyncDisposableStack();
  /** The topmost of those that are committed, and the ones above it. */
  #base: ChainId | undefined;
  #waiting: Waiting[] = [];
  #putting: Promise<unknown> = Promise.resolve();
  #ended = false;

  constructor(deps: LayerStackDeps) {
    this.#deps = deps;
  }

  get #top(): ChainId | undefined {
    return this.#waiting.at(-1)?.name ?? this.#base;
  }

  /**
   * Puts a layer on top, one at a time; "there" when it was there already. `early` is one that was begun before, which is the stack's from
   * now on. Throws data-loss for a damaged one.
   */
  put(layer: LayerSource, early: EarlyLayer | undefined, options: StackOptions): Promise<"there" | "new"> {
    const work = this.#put(layer, early, options);
    this.#putting = work.catch(() => undefined);
    return work;
  }

  async #put(
    layer: LayerSource,
    early: EarlyLayer | undefined,
    options: StackOptions,
  ): Promise<"there" | "new"> {
    const { snapshots, layers } = this.#deps;
    if (early) this.#own(early);
    const name = chainId(this.#top, layer.diffId);
    let lock: Disposable | undefined = await this.#deps.lock(name);
    try {
      layers.pin(name);
      if (snapshots.stat(name)?.kind === "committed") {
        // One whose parent was lost lies on what waits here.
        await this.commit();
        this.#base = name;
        await early?.[Symbol.asyncDispose]();
        return "there";
      }
      options.signal?.throwIfAborted();
      const filled = await this.#fill(layer, early, options);
      this.#own(lock);
      lock = undefined;
      this.#waiting.push({ name, diffId: layer.diffId, ...filled });
      return "new";
    } finally {
      lock?.[Symbol.dispose]();
    }
  }

  /** Makes layers of what was put: files first, then the records that name them. */
  async commit(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    const { layers, snapshots } = this.#deps;
    // First: of a layer that is there its size is known, whatever moment the power goes.
    layers.addAll(waiting.map(({ name, diffId, size }) => ({ chainId: name, diffId, size })));
    const stack = waiting.map(({ name, early, inheritsRoot }) => ({ name, key: early.key, inheritsRoot }));
    for (const { early } of waiting) await early.settled();
    const spare = new Set(await snapshots.commitStack(this.#base, stack));
    for (const { early } of waiting) if (!spare.has(early.key)) early.keep();
    this.#base = this.#top;
    this.#waiting = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    // Ends the helpers, and so what is being put.
    await this.#resources[Symbol.asyncDispose]();
    await this.#putting;
  }

  #own(resource: EarlyLayer | Disposable): void {
    if (this.#ended) throw new TugError("cancelled", "nobody wants the layers any more");
    this.#resources.use(resource);
  }

  async #fill(
    layer: LayerSource,
    begun: EarlyLayer | undefined,
    options: StackOptions,
  ): Promise<Pick<Waiting, "early" | "size" | "inheritsRoot">> {
    const { descriptor } = layer;
    if (begun) {
      try {
        return await this.#finish(layer, begun, options);
      } catch {
        // Once more from the complete blob: what is wrong with that is the layer's own fault.
        options.signal?.throwIfAborted();
        await begun[Symbol.asyncDispose]();
      }
    }
    const early = await this.#deps.begin(this.#deps.content.path(descriptor.digest), descriptor.size);
    try {
      this.#own(early);
    } catch (error) {
      await early[Symbol.asyncDispose]();
      throw error;
    }
    return await this.#finish(layer, early, options);
  }

  async #finish(layer: LayerSource, early: EarlyLayer, options: StackOptions) {
    const done = await early.finish(this.#lowers(), options);
    const found = done.diffId ?? (layer.descriptor.digest as string as DiffId);
    if (found !== layer.diffId) throw wrongDiffId(found, layer.diffId);
    return { early, size: done.size, inheritsRoot: !done.root };
  }

  #lowers(): string[] {
    const waiting = this.#waiting.map(({ early }) => early.upper).reverse();
    if (this.#base === undefined) return waiting;
    const layout = this.#deps.snapshots.layout(this.#base);
    if (layout.kind !== "overlay") throw new TugError("internal", "a stack of whole trees");
    return [...waiting, ...layersOf(layout)];
  }
}
