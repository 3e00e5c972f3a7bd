import { createGzip } from "node:zlib";
import { throughStream } from "../../../base/lib/compression/through-stream.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import { type ChainId, type DiffId, type Digest, randomId } from "../../../base/lib/ids.ts";
import { chainId, chainIds } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { Manifest } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";
import type { Snapshotter } from "../../../core/snapshot/snapshotter.ts";
import type { Activity } from "../../activity.ts";
import type { ImagePusher } from "../../export/deps.ts";
import { flag, readCompression, readLevel } from "../../export/format.ts";
import { LayerForms, layerTyped } from "../../export/layer-blobs.ts";
import type { LayerExport } from "../../export/layers.ts";
import type { CacheRef } from "../../request.ts";
import { isSource } from "../../solve/keys.ts";
import type { CacheRecord } from "../../solve/records.ts";
import type { SolvedStep, SolveOptions } from "../../solve.ts";
import type { CacheMounts } from "../mounts/cache-mounts.ts";
import {
  type CacheLayer,
  type CacheMount,
  type CacheStep,
  cacheConfigType,
  cacheMountType,
} from "./document.ts";
import type { ImportedCache } from "./imported.ts";
import { cacheReference } from "./sources.ts";

export interface CacheWriterDeps {
  readonly content: ContentStore;
  readonly records: { find(result: Digest): CacheRecord | undefined };
  /** By the names that they have now. */
  readonly snapshots: Pick<Snapshotter, "stat">;
  readonly currentName: (snapshot: ChainId) => ChainId;
  readonly layers: LayerExport;
  readonly layerBlob: (layer: ChainId, diffId: DiffId, signal: AbortSignal) => Promise<Descriptor>;
  readonly mounts: Pick<CacheMounts, "list" | "export">;
  readonly push: ImagePusher;
}

export interface Writing {
  readonly steps: readonly SolvedStep[];
  readonly imported: readonly ImportedCache[];
  readonly step: Activity;
  readonly options: SolveOptions;
  /** Vertices that the targets' images are made of: all that `mode=min` has layers of. */
  readonly targets: ReadonlySet<Digest>;
}

/** `--cache-to`: what the build's steps came to, by the keys that they are found by. */
export async function writeCache(
  deps: CacheWriterDeps,
  { type, attributes }: CacheRef,
  writing: Writing,
): Promise<Readonly<Record<string, string>>> {
  const { step, options } = writing;
  const { signal, session } = options;
  using lease = deps.content.lease();
  const writer = new CacheWriter(deps, attributes, writing, lease);
  const target = await step.part("preparing build cache for export", () => writer.write());
  if (type === "local") return await writer.toClient(target);
  const ref = cacheReference(attributes);
  const sources = writing.imported.flatMap(({ source }) => source.repository ?? []);
  const insecure = flag(attributes, "registry.insecure", false);
  const to = { ref: { ...ref, tag: undefined, digest: undefined }, insecure, session, signal, sources };
  await step.part("writing cache layers", () => deps.push.document(target, to));
  await step.part(`writing cache manifest ${target.digest}`, async () => {
    if (ref.digest !== undefined) throw invalid("a cache is written to a tag, not to a digest");
    await deps.push.name(target, { ...to, ref });
  });
  return { "cache.manifest": JSON.stringify(target) };
}

function takesNoCache(directory: string): TugError {
  return new TugError(
    "not-implemented",
    `this client does not take the cache into its directory ${directory}: take a cache of type registry`,
  );
}

class CacheWriter {
  readonly #deps: CacheWriterDeps;
  readonly #attributes: Readonly<Record<string, string>>;
  readonly #writing: Writing;
  readonly #lease: Lease;
  readonly #forms: LayerForms;
  readonly #layers: CacheLayer[] = [];
  readonly #indexes = new Map<ChainId, number>();

  constructor(
    deps: CacheWriterDeps,
    attributes: Readonly<Record<string, string>>,
    writing: Writing,
    lease: Lease,
  ) {
    this.#deps = deps;
    this.#attributes = attributes;
    this.#writing = writing;
    this.#lease = lease;
    this.#forms = new LayerForms(deps);
  }

  /** Manifest, config and the blobs that are here; those that only an imported cache has are left to the push. */
  async write(): Promise<Descriptor> {
    const { content } = this.#deps;
    const everything = this.#attributes["mode"] === "max";
    const steps: CacheStep[] = [];
    for (const { vertex, key, keys } of this.#writing.steps) {
      if (isSource(vertex.op) || keys.length === 0) continue;
      const wanted = everything || this.#writing.targets.has(vertex.digest);
      steps.push({ key, keys, layer: wanted ? await this.#layerOf(key) : undefined });
    }
    const mounts = flag(this.#attributes, "mounts", false) ? await this.#mounts() : [];
    const layers = this.#layers;
    const put = async (document: unknown, mediaType: string) => {
      const blob = await content.put(Buffer.from(JSON.stringify(document)), mediaType);
      this.#lease.add(blob.digest);
      return blob;
    };
    const config = await put({ layers, steps, mounts }, cacheConfigType);
    const blobs = [...layers, ...mounts].map(({ blob }) => blob);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: [...new Map(blobs.map((blob) => [blob.digest, blob])).values()],
    };
    return await put(manifest, mediaTypes.ociManifest);
  }

  /** The whole cache into a content store of the client's; what it has there already stays. Clients name the directory so (BuildKit's client/solve.go). */
  async toClient(target: Descriptor): Promise<Readonly<Record<string, string>>> {
    const { content } = this.#deps;
    const { step, options, imported } = this.#writing;
    const { session, signal } = options;
    const directory = this.#attributes["dest"] ?? "";
    const { config, layers } = parseManifest(await content.read(target.digest, manifestLimit));
    const put = async ({ digest, size }: Descriptor) => {
      const blob = { digest, size, open: () => content.stream(digest) };
      if (!(await session.putBlob?.(`local:${directory}`, blob, signal))) throw takesNoCache(directory);
    };
    await step.part("writing cache layers", async () => {
      for (const blob of layers) {
        this.#lease.add(blob.digest);
        if (!content.stat(blob.digest)) {
          const owner = imported.find(({ document }) =>
            document.layers.some((layer) => layer.blob.digest === blob.digest),
          );
          await owner?.source.fetch(blob, { signal, lease: this.#lease });
        }
        await put(blob);
      }
    });
    await put(config);
    // The client's index is its own to change: it names the manifest when it is told of it.
    await step.part(`writing cache manifest ${target.digest}`, () => put(target));
    return { "cache.manifest": JSON.stringify(target) };
  }

  /** Index of a result's top layer; undefined when nobody has it any more. */
  async #layerOf(result: Digest): Promise<number | undefined> {
    const record = this.#deps.records.find(result);
    if (record) return record.snapshot === undefined ? -1 : await this.#own(record.snapshot);
    for (const cache of this.#writing.imported) {
      const chain = cache.chain(result);
      if (!chain) continue;
      const top = cache.source.stored && chainIds(chain.map(({ diffId }) => diffId)).at(-1);
      return top ? await this.#own(top) : this.#others(chain);
    }
    return undefined;
  }

  async #own(snapshot: ChainId): Promise<number | undefined> {
    const { snapshots, currentName, layers, layerBlob } = this.#deps;
    const { signal } = this.#writing.options;
    const names: ChainId[] = [];
    for (let name: string | undefined = currentName(snapshot); name !== undefined; ) {
      const info = snapshots.stat(name);
      if (!info) return undefined;
      names.unshift(name as ChainId);
      name = info.parent;
    }
    const results = names.map((name) => {
      const result = {
        get snapshot() {
          return currentName(name);
        },
        key: name as string as Digest,
        [Symbol.dispose]: () => undefined,
      };
      return { result, read: layers.begin(result, signal) };
    });
    let parent = -1;
    for (const layer of await layers.layers(undefined, results)) {
      if (!layer) continue;
      const known = this.#indexes.get(layer.chainId);
      const blob = known ?? (await this.#blob(await layerBlob(layer.chainId, layer.diffId, signal)));
      parent = typeof blob === "number" ? blob : this.#add(layer.chainId, layer.diffId, blob, parent);
    }
    return parent;
  }

  #others(chain: readonly CacheLayer[]): number {
    let parent = -1;
    let name: ChainId | undefined;
    for (const { blob, diffId } of chain) {
      name = chainId(name, diffId);
      parent = this.#indexes.get(name) ?? this.#add(name, diffId, blob, parent);
    }
    return parent;
  }

  #add(name: ChainId, diffId: DiffId, blob: Descriptor, parent: number): number {
    const index = this.#layers.push({ blob, diffId, parent }) - 1;
    this.#indexes.set(name, index);
    return index;
  }

  async #blob(blob: Descriptor): Promise<Descriptor> {
    this.#lease.add(blob.digest);
    const compression = readCompression(this.#attributes["compression"]);
    if (compression === undefined) return layerTyped(blob, true);
    const form = { compression, level: readLevel(this.#attributes["compression-level"], compression) };
    return layerTyped(
      await this.#forms.compressed(blob, form, this.#lease, this.#writing.options.signal),
      true,
    );
  }

  /** Cache mounts that steps of this build have. */
  async #mounts(): Promise<readonly CacheMount[]> {
    const { mounts, content } = this.#deps;
    const { signal } = this.#writing.options;
    const ids = new Set(
      this.#writing.steps.flatMap(({ vertex: { op } }) =>
        op.kind === "exec" ? op.mounts.flatMap((mount) => (mount.kind === "cache" ? [mount.id] : [])) : [],
      ),
    );
    const written: CacheMount[] = [];
    for (const { name, id, base, mode, uid, gid, description } of await mounts.list()) {
      if (!ids.has(id)) continue;
      await using ingest = await content.ingest(`cache-mount-${randomId()}`, undefined, signal);
      try {
        for await (const chunk of throughStream(mounts.export(name), createGzip({ level: 1 })))
          await ingest.write(chunk);
        const { digest, size } = await ingest.commit();
        this.#lease.add(digest);
        const blob = { mediaType: cacheMountType, digest, size };
        written.push({ identity: { id, base, mode, uid, gid }, description, blob });
      } catch (error) {
        await ingest.abort();
        throw error;
      }
    }
    return written;
  }
}
