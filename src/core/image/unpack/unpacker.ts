import { internal, isCode } from "../../../base/lib/errors.ts";
import type { ChainId, DiffId } from "../../../base/lib/ids.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { Semaphore } from "../../../base/lib/semaphore.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ContentStore } from "../../content/content.ts";
import type { LayerTarget } from "../../snapshot/apply/apply-layer.ts";
import { layerStacks } from "../../snapshot/layer-stacks.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import type { LayerSource, Unpacker } from "../image.ts";
import type { LayerRecords } from "../layers.ts";
import { EarlyLayer, type EarlyLayerDeps, unpackKey, unpackKeyPrefix } from "./early-layer.ts";
import { LayerStack, type StackUnpacker } from "./layer-stack.ts";
import type { DoneReport, WholeRequest } from "./protocol.ts";
import { UnpackProcess } from "./unpack-process.ts";
import { verifyLayer } from "./verify-layer.ts";
import { WriteBehind } from "./write-behind.ts";

export interface UnpackerDeps {
  /** Command that a helper's name is appended to, e.g. ["/usr/bin/tug", "__helper"]. */
  readonly helperCommand: readonly string[];
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
}

export interface UnpackOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** So many helpers follow blobs that arrive; what comes beside them is unpacked when it is complete. */
const earlyAtOnce = 4;

/** Takes in a layer that its maker writes itself, instead of unpacking it from a blob. */
export interface LayerMaker {
  /**
   * Prepares a snapshot on `parent`, has `write` put the layer's files into it and commits it under the chain id that the returned
   * diffID gives. The layer is kept from the garbage collection until an image names it. When `write` fails, or makes no layer
   * (undefined), nothing is left.
   */
  make<Made extends MadeLayer | undefined>(
    parent: ChainId | undefined,
    write: (target: LayerTarget) => Promise<Made>,
  ): Promise<Made>;
}

export interface MadeLayer {
  readonly diffId: DiffId;
  /** Bytes of the layer's regular files. */
  readonly size: number;
}

/** Unpacks each layer in a process of its own, which may use all the memory and time it needs without holding us up. */
export class ProcessUnpacker implements Unpacker, StackUnpacker, LayerMaker {
  readonly #deps: UnpackerDeps;
  readonly #earlyDeps: EarlyLayerDeps;
  readonly #locks = new KeyedMutex();
  readonly #early = new Semaphore(earlyAtOnce);

  constructor(deps: UnpackerDeps) {
    this.#deps = deps;
    const writeBehind = new WriteBehind(async () => await layerStacks(deps.snapshots)?.writeBack());
    this.#earlyDeps = { ...deps, writeBehind };
  }

  /** Removes what a daemon that died was unpacking. */
  async recover(): Promise<void> {
    for (const { name, kind } of [...this.#deps.snapshots.list()]) {
      if (kind === "active" && name.startsWith(unpackKeyPrefix)) await this.#deps.snapshots.remove(name);
    }
  }

  async unpack(layer: LayerSource, parent: ChainId | undefined, options: UnpackOptions): Promise<ChainId> {
    const name = chainId(parent, layer.diffId);
    return await this.#locks.run(name, async () => {
      this.#deps.layers.pin(name);
      if (this.#deps.snapshots.stat(name)) return name;
      await this.#fill(layer.descriptor, layer.diffId, parent, options);
      return name;
    });
  }

  async begin(path: string, size: number): Promise<EarlyLayer | undefined> {
    if (!layerStacks(this.#deps.snapshots) || !this.#early.available) return undefined;
    const permit = await this.#early.acquire();
    return await EarlyLayer.begin(this.#earlyDeps, path, size, () => permit[Symbol.dispose]());
  }

  stack(): LayerStack | undefined {
    const snapshots = layerStacks(this.#deps.snapshots);
    return (
      snapshots &&
      new LayerStack({
        ...this.#deps,
        snapshots,
        begin: async (path, size) => {
          const early = await EarlyLayer.begin(this.#earlyDeps, path, size);
          early.written(size);
          return early;
        },
        lock: (name) => this.#locks.lock(name),
      })
    );
  }

  async verify(layer: LayerSource, signal?: AbortSignal): Promise<void> {
    await verifyLayer(this.#deps.content, layer, signal);
  }

  /** Unpacks a layer whose diffID nobody told: the root file system of an import. */
  async unpackUnknown(
    descriptor: Descriptor,
    options: UnpackOptions,
  ): Promise<{ readonly chainId: ChainId; readonly diffId: DiffId }> {
    const diffId = await this.#fill(descriptor, undefined, undefined, options);
    return { chainId: chainId(undefined, diffId), diffId };
  }

  /** Unpacks a layer that is there once more, beside it; both are there for `use`, then the new one goes. */
  async again<Result>(
    layer: LayerSource,
    parent: ChainId | undefined,
    use: (fresh: LayerTarget, kept: LayerTarget) => Promise<Result>,
  ): Promise<Result> {
    const name = chainId(parent, layer.diffId);
    return await this.#locks.run(name, async () => {
      const { snapshots, content } = this.#deps;
      const key = unpackKey();
      await snapshots.prepare(key, parent);
      try {
        const blob = content.path(layer.descriptor.digest);
        const target = this.#target(key);
        await this.#run({ blob, target, diffId: layer.diffId, verified: false }, layer.descriptor.size, {});
        return await use(target, this.#target(name));
      } finally {
        await snapshots.remove(key);
      }
    });
  }

  async #fill(
    descriptor: Descriptor,
    diffId: DiffId | undefined,
    parent: ChainId | undefined,
    options: UnpackOptions,
  ): Promise<DiffId> {
    options.signal?.throwIfAborted();
    const blob = this.#deps.content.path(descriptor.digest);
    const verified = (descriptor.digest as string) === diffId;
    const write = (target: LayerTarget) =>
      this.#run({ blob, target, diffId, verified }, descriptor.size, options);
    return (await this.make(parent, write)).diffId;
  }

  async make<Made extends MadeLayer | undefined>(
    parent: ChainId | undefined,
    write: (target: LayerTarget) => Promise<Made>,
  ): Promise<Made> {
    const { snapshots, layers } = this.#deps;
    const key = unpackKey();
    await snapshots.prepare(key, parent);
    try {
      const done = await write(this.#target(key));
      if (!done) {
        await snapshots.remove(key);
        return done;
      }
      const name = chainId(parent, done.diffId);
      layers.pin(name);
      // First: of a layer that is there its size is known, whatever moment the power goes.
      layers.add(name, done.diffId, done.size);
      await this.#commit(name, key);
      return done;
    } catch (error) {
      // What cannot be removed now goes at the next start; the failure itself is what matters.
      await snapshots.remove(key).catch(() => undefined);
      throw error;
    }
  }

  /** An import may bring a layer that is there already, or is being unpacked: either one does. */
  async #commit(name: ChainId, key: string): Promise<void> {
    const { snapshots } = this.#deps;
    try {
      await snapshots.commit(name, key);
    } catch (error) {
      if (!isCode(error, "conflict") || snapshots.stat(name)?.kind !== "committed") throw error;
      await snapshots.remove(key);
    }
  }

  #target(key: string): LayerTarget {
    const layout = this.#deps.snapshots.layout(key);
    if (layout.kind === "tree") return { kind: "tree", tree: layout.tree };
    return { kind: "overlay", upper: layout.upper, lowers: layout.lowers };
  }

  async #run(request: WholeRequest, total: number, options: UnpackOptions): Promise<DoneReport & MadeLayer> {
    await using child = new UnpackProcess(this.#deps.helperCommand, request);
    child.end();
    child.onProgress = (bytes) => options.onProgress?.(Math.min(bytes, total), total);
    const kill = () => child.kill();
    options.signal?.addEventListener("abort", kill, { once: true });
    if (options.signal?.aborted) kill();
    try {
      const done = await child.done;
      options.signal?.throwIfAborted();
      if (done.diffId === undefined) throw internal("the unpack helper did not tell the diffID");
      options.onProgress?.(total, total);
      return { ...done, diffId: done.diffId };
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error;
    } finally {
      options.signal?.removeEventListener("abort", kill);
    }
  }
}
