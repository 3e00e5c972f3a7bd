import type { ChainId, Digest } from "../../../base/lib/ids.ts";
import { shortId } from "../../../base/lib/ids.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";
import type { Unpacker } from "../../../core/image/image.ts";
import type { Snapshotter } from "../../../core/snapshot/snapshotter.ts";
import type { StepProgress } from "../../run/runner.ts";
import type { CacheImporter, ImportedResult } from "../../solve.ts";
import type { CacheDocument, CacheLayer, CacheStep } from "./document.ts";

/** Where a cache's blobs are. */
export interface CacheSource {
  /** For people. */
  readonly name: string;
  /** Its layers are snapshots here, and blobs of them nobody may have. */
  readonly stored?: true;
  /** The repository, if it is one: a registry may mount blobs from there. */
  readonly repository: Reference | undefined;
  /** Makes the blob exist in content; the lease keeps it. */
  fetch(
    blob: Descriptor,
    options: {
      readonly signal: AbortSignal;
      readonly lease: Lease;
      readonly onProgress?: (done: number, total: number) => void;
    },
  ): Promise<void>;
}

export interface ImportedCacheDeps {
  readonly content: ContentStore;
  readonly snapshots: Pick<Snapshotter, "stat">;
  readonly unpacker: Unpacker;
}

/** A cache from elsewhere (`--cache-from`): its document is here, its blobs come when somebody needs their files. */
export class ImportedCache implements CacheImporter {
  readonly source: CacheSource;
  readonly document: CacheDocument;
  readonly #deps: ImportedCacheDeps;
  readonly #byKey = new Map<Digest, CacheStep>();
  readonly #byResult = new Map<Digest, CacheStep>();

  constructor(deps: ImportedCacheDeps, source: CacheSource, document: CacheDocument) {
    this.#deps = deps;
    this.source = source;
    this.document = document;
    for (const step of document.steps) {
      this.#byResult.set(step.key, step);
      for (const key of step.keys) this.#byKey.set(key, step);
    }
  }

  async find(key: Digest): Promise<ImportedResult | undefined> {
    const step = this.#byKey.get(key);
    if (!step) return undefined;
    const { layer } = step;
    if (layer === undefined) return { key: step.key };
    return { key: step.key, snapshot: (context) => this.#bring(layer, context) };
  }

  /** The layers of a result, bottom first; undefined when it is not in here. */
  chain(result: Digest): readonly CacheLayer[] | undefined {
    const step = this.#byResult.get(result);
    return step?.layer === undefined ? undefined : this.#chain(step.layer);
  }

  #chain(top: number): readonly CacheLayer[] {
    const chain: CacheLayer[] = [];
    const { layers } = this.document;
    for (let layer = layers[top]; layer; layer = layers[layer.parent]) chain.push(layer);
    return chain.reverse();
  }

  async #bring(
    top: number,
    { signal, progress }: { readonly signal: AbortSignal; readonly progress: StepProgress },
  ): Promise<ChainId | undefined> {
    const { content, snapshots, unpacker } = this.#deps;
    using lease = content.lease();
    let below: ChainId | undefined;
    for (const { blob, diffId } of this.#chain(top)) {
      const name = chainId(below, diffId);
      if (snapshots.stat(name)?.kind !== "committed") {
        lease.add(blob.digest);
        const part = shortId(blob.digest);
        const tell = (current: number, total: number) => progress.part(part, { current, total });
        if (!content.stat(blob.digest)) await this.source.fetch(blob, { signal, lease, onProgress: tell });
        progress.part(part, { current: blob.size, total: blob.size, done: true });
      }
      // Also for one that is there: it is kept until the step has a record.
      await unpacker.unpack({ descriptor: blob, diffId }, below, { signal });
      below = name;
    }
    return below;
  }
}
