import type { ChainId, DiffId } from "../../base/lib/ids.ts";
import { KeyedMutex } from "../../base/lib/mutex.ts";
import { chainId } from "../../base/spec/oci/chain.ts";
import type { SnapshotLayout, Snapshotter } from "../../core/snapshot/snapshotter.ts";
import type { Result } from "../result.ts";

/** Reads a snapshot's changes as the layer tar that they are. */
export interface LayerDigests {
  layerDigest(
    layout: SnapshotLayout,
    signal?: AbortSignal,
  ): Promise<{ readonly diffId: DiffId; readonly size: number }>;
}

/** What is known of layers that have their chain id as name. */
export interface KnownLayers {
  diffId(chainId: ChainId): DiffId | undefined;
  /** Keeps a layer from being collected until an image names it. */
  pin(chainId: ChainId): void;
  add(chainId: ChainId, diffId: DiffId, size: number): void;
}

export interface StepNaming {
  /**
   * The snapshot of a step is the layer of this chain id from now on, and goes by that name; what lies on it follows. Where such a layer
   * is already, that one takes its place.
   */
  name(snapshot: ChainId, chainId: ChainId): Promise<void>;
  /** Begins to write what the steps made so far. */
  writeBehind(): void;
  /** Everything that was named is on disk. */
  sync(): Promise<void>;
}

export interface LayerExportDeps {
  readonly snapshots: Pick<Snapshotter, "layout" | "stat">;
  readonly digests: LayerDigests;
  readonly known: KnownLayers;
  readonly naming: StepNaming;
}

/** A layer of an image that is exported. A step that changed nothing is one, too: an empty layer, as BuildKit has it. */
export interface ExportedLayer {
  readonly diffId: DiffId;
  readonly chainId: ChainId;
  /** Milliseconds since the epoch. */
  readonly created: number;
}

/**
 * Turns results into layers: each snapshot is read once for its diffID, beside the steps that still run, and then gets its chain id as
 * its name. Snapshots that have one are not read again: of a build that is cached nothing is.
 */
export class LayerExport {
  readonly #deps: LayerExportDeps;
  /** One reading at a time of one snapshot, however many builds export it. */
  readonly #locks = new KeyedMutex();

  constructor(deps: LayerExportDeps) {
    this.#deps = deps;
  }

  /** Begins to read a result's changes as soon as it is there. Held results must stay held until `layers` is done. */
  begin(result: Result, signal?: AbortSignal): Promise<ReadLayer | undefined> {
    const reading = this.#read(result, signal);
    this.#deps.naming.writeBehind();
    // Whoever asks for the layers hears of it; nobody may ask, when another step fails.
    reading.catch(() => undefined);
    return reading;
  }

  async #read(result: Result, signal?: AbortSignal): Promise<ReadLayer | undefined> {
    const { snapshot } = result;
    if (snapshot === undefined) return undefined;
    return await this.#locks.run(snapshot, async () => {
      const { known, snapshots, digests } = this.#deps;
      const named = result.snapshot ?? snapshot;
      const diffId = known.diffId(named);
      if (diffId !== undefined) return { diffId, size: undefined };
      return await digests.layerDigest(snapshots.layout(named), signal);
    });
  }

  /** The layers of `results` (bottom first) on `base`, one for each result; undefined where a step has no tree of its own. */
  async layers(
    base: ChainId | undefined,
    results: readonly BegunLayer[],
  ): Promise<readonly (ExportedLayer | undefined)[]> {
    const { known, snapshots, naming } = this.#deps;
    const layers: (ExportedLayer | undefined)[] = [];
    // What names promise is on disk before they are given: the disk is at it while the last layers are read.
    const syncing = naming.sync();
    syncing.catch(() => undefined); // told by the naming that waits for it
    let top = base;
    let below = base;
    for (const { result, read } of this.#standing(results)) {
      const layer = await read;
      const { snapshot } = result;
      if (snapshot === undefined || snapshot === below || layer === undefined) {
        layers.push(undefined);
        continue;
      }
      const name = chainId(top, layer.diffId);
      known.pin(name);
      if (layer.size !== undefined) known.add(name, layer.diffId, layer.size);
      if (snapshot !== name) await naming.name(snapshot, name);
      layers.push({ diffId: layer.diffId, chainId: name, created: snapshots.stat(name)?.created ?? 0 });
      top = name;
      below = result.snapshot;
    }
    await naming.sync();
    return layers;
  }

  /**
   * A result stands on the tree that it was made on. The step below may have been made again since (`--no-cache`, a pruned record) and found equal
   * but for its times: then what the result stands on is its layer, and not what was made last.
   */
  #standing(results: readonly BegunLayer[]): readonly BegunLayer[] {
    const { snapshots } = this.#deps;
    const standing = [...results];
    for (let index = results.length - 1; index > 0; index--) {
      const [below, above] = [standing[index - 1], standing[index]];
      const parentOf = () => {
        const name = above?.result.snapshot;
        return name === undefined ? undefined : (snapshots.stat(name)?.parent as ChainId | undefined);
      };
      const [found, parent] = [below?.result.snapshot, parentOf()];
      if (!below || found === undefined || parent === undefined) continue;
      if (found === parent || found === above?.result.snapshot) continue;
      const result: Result = {
        // Asked anew each time: layers get other names meanwhile.
        get snapshot() {
          return parentOf();
        },
        key: below.result.key,
        [Symbol.dispose]: () => undefined,
      };
      standing[index - 1] = { result, read: this.begin(result) };
    }
    return standing;
  }
}

interface BegunLayer {
  readonly result: Result;
  readonly read: Promise<ReadLayer | undefined>;
}

export interface ReadLayer {
  readonly diffId: DiffId;
  /** Bytes of its regular files; undefined for a layer that is known. */
  readonly size: number | undefined;
}
