import { systemClock } from "../../../base/lib/clock.ts";
import { invalid, notFound } from "../../../base/lib/errors.ts";
import type { ChainId, DiffId, Digest, ImageId } from "../../../base/lib/ids.ts";
import { KeyedMutex } from "../../../base/lib/mutex.ts";
import { familiarString, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { chainIds } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import type { Found, Image, ImageStore, LoadEvent, NewImage } from "../../../core/image/image.ts";
import type { NewEvent } from "../../events/event.ts";
import type { ImageServiceDeps, ImageUser } from "../deps.ts";
import { ReceivedBlobs } from "../received.ts";

const platform = { os: "linux", architecture: "amd64" };

/** Images in memory, by the rules of the contract. */
export class MemoryImages implements ImageStore {
  readonly records = new Map<ImageId, Image>();
  readonly configs = new Map<ImageId, ImageConfig>();

  list = (): readonly Image[] => [...this.records.values()];
  all = (): readonly Image[] => this.list();
  get = (id: ImageId): Image | undefined => this.records.get(id);

  find(reference: string): Found {
    const image = this.resolve(reference);
    return { image, target: image.manifest, index: undefined };
  }

  resolve(reference: string): Image {
    const byId = this.list().filter(
      (image) => image.id === reference || image.id.slice(7).startsWith(reference),
    );
    let name = reference;
    try {
      name = familiarString(withDefaultTag(parseReference(reference)));
    } catch (error) {
      if (byId.length === 0) throw error;
    }
    const named = this.list().find((image) => image.tags.includes(name) || image.digests.includes(name));
    if (named) return named;
    if (byId.length > 1) throw invalid(`ambiguous reference: ${reference}`);
    if (!byId[0]) throw notFound(`No such image: ${name}`);
    return byId[0];
  }

  tag(id: ImageId, reference: string): ImageId | undefined {
    const before = this.list().find((image) => image.tags.includes(reference));
    if (before) this.#change(before.id, (image) => ({ tags: image.tags.filter((tag) => tag !== reference) }));
    this.#change(id, (image) =>
      reference.includes("@") ? { digests: [...image.digests, reference] } : { tags: [...image.tags, reference] },
    );
    return before?.id;
  }

  untag(reference: string): ImageId {
    const image = this.list().find((one) => [...one.tags, ...one.digests].includes(reference));
    if (!image) throw notFound(`No such image: ${reference}`);
    const without = (names: readonly string[]) => names.filter((name) => name !== reference);
    this.#change(image.id, () => ({ tags: without(image.tags), digests: without(image.digests) }));
    return image.id;
  }

  add(record: NewImage): Image {
    const config = this.configs.get(record.id);
    if (!config) throw notFound("no config");
    if (!this.records.has(record.id)) {
      this.records.set(record.id, {
        id: record.id,
        config,
        manifest: record.manifest,
        tags: [],
        digests: [],
        layers: config.rootfs.diff_ids,
        chainId: chainIds(config.rootfs.diff_ids).at(-1),
        size: 100,
        lastTagged: 0,
        index: undefined,
        siblings: [],
        parent: record.parent,
      });
    }
    for (const reference of record.references) {
      if (![...this.#of(record.id).tags, ...this.#of(record.id).digests].includes(reference)) {
        this.tag(record.id, reference);
      }
    }
    return this.#of(record.id);
  }

  async delete(id: ImageId): Promise<readonly ChainId[]> {
    return await this.drop(id)();
  }

  drop(id: ImageId): () => Promise<readonly ChainId[]> {
    const image = this.#of(id);
    this.records.delete(id);
    return async () => {
      const kept = new Set(this.list().flatMap((other) => chainIds(other.layers)));
      return chainIds(image.layers)
        .filter((chain) => !kept.has(chain))
        .reverse();
    };
  }

  atOnce(change: () => void): void {
    change();
  }

  /** An image of its own, made of the named layers. */
  make(
    name: string,
    options: {
      layers?: readonly string[];
      references?: readonly string[];
      parent?: ImageId;
      created?: string;
      labels?: Record<string, string>;
    } = {},
  ): Image {
    const config: ImageConfig = {
      ...platform,
      created: options.created ?? "2024-01-01T00:00:00Z",
      config: { Labels: options.labels ?? {}, Cmd: [name] },
      rootfs: { type: "layers", diff_ids: (options.layers ?? [name]).map((layer) => digestOf(layer) as string as DiffId) },
      history: [{ created_by: "ADD", created: "2024-01-01T00:00:00Z" }, { created_by: "CMD", empty_layer: true }],
    };
    const id = digestOf(JSON.stringify([name, config])) as string as ImageId;
    this.configs.set(id, config);
    return this.add({
      id,
      references: options.references ?? [`${name}:latest`],
      ...(options.parent ? { parent: options.parent } : {}),
    });
  }

  #of(id: ImageId): Image {
    const image = this.records.get(id);
    if (!image) throw notFound(`No such image: ${id}`);
    return image;
  }

  #change(id: ImageId, change: (image: Image) => Partial<Image>): void {
    const image = this.#of(id);
    this.records.set(id, { ...image, ...change(image) });
  }
}

/** A remote image for the fake registry. */
export interface RemoteImage {
  readonly config: ImageConfig;
  readonly configDescriptor: Descriptor;
  readonly manifest: Descriptor;
  readonly layers: readonly Descriptor[];
}

export function remoteImage(layers: readonly string[]): RemoteImage {
  const config: ImageConfig = {
    ...platform,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => digestOf(layer) as string as DiffId) },
  };
  const blob = (text: string, mediaType: string): Descriptor => ({ mediaType, digest: digestOf(text), size: text.length });
  return {
    config,
    configDescriptor: blob(JSON.stringify(config), "application/vnd.oci.image.config.v1+json"),
    manifest: blob(`manifest ${layers.join()}`, "application/vnd.oci.image.manifest.v1+json"),
    layers: layers.map((layer) => blob(`gz ${layer}`, "application/vnd.oci.image.layer.v1.tar+gzip")),
  };
}

export class ImageWorld {
  readonly images = new MemoryImages();
  readonly events: NewEvent[] = [];
  readonly users = new Map<ImageId, readonly ImageUser[]>();
  readonly remote = new Map<string, RemoteImage>();
  readonly chains = new Set<string>();
  readonly blobs = new Set<Digest>();
  readonly loads: LoadEvent[] = [];

  /** Only what a service touches is there: a call to anything else is a failure of the test. */
  readonly deps = {
    images: this.images,
    content: {
      partialSize: () => 0,
      stat: (digest: Digest) => (this.blobs.has(digest) ? { digest, size: 1 } : undefined),
      list: () => [...this.blobs].map((digest) => ({ digest, size: 1 })),
      lease: () => ({ add: () => undefined, [Symbol.dispose]: () => undefined }),
    },
    layerSize: (chain: string) => (this.chains.has(chain) ? 10 : 0),
    snapshots: {
      name: "overlay2",
      stat: (name: string) =>
        this.chains.has(name) ? { name, kind: "committed", parent: undefined, created: 0 } : undefined,
      usage: async () => ({ bytes: 10, inodes: 1 }),
      describe: (name: string) => ({ UpperDir: `/x/${name}` }),
    },
    unpacker: {
      verify: async () => undefined,
      unpack: async (layer: { diffId: DiffId }, parent: ChainId | undefined, options: Progress) => {
        const [chain] = parent === undefined ? [layer.diffId as string] : [digestOf(`${parent} ${layer.diffId}`)];
        if (this.chains.has(chain ?? "")) return chain;
        options.onProgress?.(5, 5);
        this.chains.add(chain ?? "");
        return chain;
      },
    },
    archives: {
      load: async function* (this: unknown): AsyncGenerator<LoadEvent> {},
    },
    registry: {
      resolve: async (ref: Parameters<typeof familiarString>[0]) => {
        const found = this.remote.get(familiarString(ref));
        if (!found) throw notFound(`manifest for ${familiarString(ref)} not found: manifest unknown`);
        const { manifest, configDescriptor: config, layers } = found;
        return { target: manifest, manifest, config, layers };
      },
    },
    fetcher: {
      config: async (_ref: unknown, image: { config: Descriptor }) => {
        const remote = [...this.remote.values()].find((one) => one.configDescriptor.digest === image.config.digest);
        if (!remote) throw notFound("config");
        this.images.configs.set(image.config.digest as string as ImageId, remote.config);
        return remote.config;
      },
      layers: (_ref: unknown, layers: readonly Descriptor[], options: { onLayer?: (layer: Descriptor, event: unknown) => void }) =>
        layers.map(async (layer) => {
          options.onLayer?.(layer, { kind: "downloading", done: 5, total: 5 });
          this.blobs.add(layer.digest);
          options.onLayer?.(layer, { kind: "complete", already: false });
        }),
    },
    received: new ReceivedBlobs({
      lease: () => ({ add: () => undefined, [Symbol.dispose]: () => undefined }),
      collect: async () => undefined,
    }),
    bootstrap: { cacheSize: () => 0, prune: async () => 0 },
    collect: async () => undefined,
    anyRegistry: {},
    pusher: {},
    users: { usersOf: (id: ImageId) => this.users.get(id) ?? [] },
    events: { publish: (event: NewEvent) => void this.events.push(event) },
    clock: systemClock,
    platform,
    locks: new KeyedMutex(),
  } as unknown as ImageServiceDeps;
}

interface Progress {
  readonly onProgress?: (done: number, total: number) => void;
}
