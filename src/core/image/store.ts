import { readFileSync, statSync } from "node:fs";
import type { Clock } from "../../base/lib/clock.ts";
import { invalid, isCode, notFound, TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest, ImageId } from "../../base/lib/ids.ts";
import {
  familiarName,
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../base/spec/docker/reference.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import type { Manifest } from "../../base/spec/oci/image.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import { choosePlatform, formatPlatform, hostPlatform } from "../../base/spec/oci/platform.ts";
import type { Database } from "../../base/store/database.ts";
import type { UnreadableRecords } from "../../base/store/unreadable.ts";
import type { BlobInfo, ContentCollector, ContentStore } from "../content/content.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Found, Image, ImageRoots, ImageStore, NewImage } from "./image.ts";
import type { LayerRecords } from "./layers.ts";
import { platformOf } from "./platform-of.ts";
import { ImageRecords, type ReferenceRow } from "./records.ts";

export interface ImageStoreDeps {
  readonly db: Database;
  readonly content: ContentStore & ContentCollector;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
  readonly clock: Clock;
  readonly unreadable?: UnreadableRecords;
  /** What names of an index mean by default; this host's unless a test has another. */
  readonly platform?: Platform;
  /** What others (a build cache) keep in the same stores. */
  readonly otherBlobs?: () => Iterable<Digest>;
  readonly keptByOthers?: (layer: string) => boolean;
}

/** Image records in SQLite, and the removal of layers and blobs that nothing reaches any more. */
export class SqliteImageStore implements ImageStore, ImageRoots {
  readonly #deps: ImageStoreDeps;
  readonly #records: ImageRecords;

  constructor(deps: ImageStoreDeps) {
    this.#deps = deps;
    this.#records = new ImageRecords(deps.db, deps.platform ?? hostPlatform(), deps.unreadable);
    this.#restoreConfigs();
  }

  /** An image's config is a blob, too, whose digest its id is. */
  #restoreConfigs(): void {
    const { content } = this.#deps;
    for (const id of this.#records.tables.unreadable) {
      if (!content.stat(id as string as Digest)) continue;
      const bytes = readBlob(content, id as string as Digest, configLimit);
      if (digestOf(bytes) === (id as string))
        this.#records.restoreConfig(id, Buffer.from(bytes).toString("utf8"));
    }
  }

  list(): readonly Image[] {
    const { indexes } = this.#records.tables;
    return this.all().filter((image) => {
      if (image.tags.length + image.digests.length > 0 || image.index === undefined) return true;
      const chosen = indexes.get(image.index)?.chosen;
      return chosen === undefined || chosen === image.id;
    });
  }

  all(): readonly Image[] {
    return [...this.#records.tables.images.values()];
  }

  get(id: ImageId): Image | undefined {
    return this.#records.tables.images.get(id);
  }

  resolve(reference: string, platform?: Platform): Image {
    return this.find(reference, platform).image;
  }

  find(reference: string, platform?: Platform): Found {
    const found = this.#find(reference);
    return platform ? ofPlatform(found, reference, platform, (id) => this.get(id)) : found;
  }

  #find(reference: string): Found {
    // An id of 64 digits is no reference by the grammar, and the text of Docker's error names it as an id.
    const id = /^(?:sha256:)?([a-f0-9]{64})$/.exec(reference)?.[1];
    if (id !== undefined) return this.#byDigest(`sha256:${id}`) ?? missing(`sha256:${id}`);
    const named = parseReference(reference);
    const known = this.#records.tables.names.get(keyOf(named).name);
    const image = known && this.get(known.image);
    if (image) return this.#found(image, known.target);
    const listed = named.digest === undefined ? undefined : this.#ofRepository(named, named.digest);
    return listed ?? this.#byPrefix(reference) ?? missing(familiarString(withDefaultTag(named)));
  }

  #found(image: Image, target: Digest | undefined): Found {
    const { indexes, manifests } = this.#records.tables;
    const index = target === undefined ? undefined : indexes.get(target);
    const manifest = target === undefined ? undefined : manifests.get(target);
    return { image, target: index?.descriptor ?? manifest?.descriptor ?? image.manifest, index };
  }

  /** An id names the whole image, its other platforms too; a manifest's digest that platform alone. */
  #byDigest(digest: string): Found | undefined {
    const { images, indexes, manifests } = this.#records.tables;
    const image = images.get(digest as ImageId);
    if (image) return this.#found(image, image.index ?? image.manifest?.digest);
    const id = indexes.get(digest as Digest)?.chosen ?? manifests.get(digest as Digest)?.image;
    const found = id && this.get(id);
    return found && this.#found(found, digest as Digest);
  }

  /** A manifest that an index of this repository's images lists. */
  #ofRepository(named: Reference, digest: Digest): Found | undefined {
    const found = this.#byDigest(digest);
    if (!found || found.image.id === (digest as string)) return undefined;
    const repository = familiarName(named);
    const family = [found.image, ...found.image.siblings.flatMap((id) => this.get(id) ?? [])];
    const names = family.flatMap((image) => [...image.tags, ...image.digests]);
    return names.some((name) => familiarName(parseReference(name)) === repository) ? found : undefined;
  }

  #byPrefix(text: string): Found | undefined {
    const prefix = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
    if (!/^[a-f0-9]+$/.test(prefix)) return undefined;
    const { images, indexes, manifests } = this.#records.tables;
    for (const digests of [images.keys(), [...indexes.keys(), ...manifests.keys()]]) {
      const found = [...digests].filter((digest) => digest.startsWith(`sha256:${prefix}`));
      if (found.length > 1) throw invalid(`Multiple IDs found with provided prefix: ${text}`);
      if (found[0] !== undefined) return this.#byDigest(found[0]);
    }
    return undefined;
  }

  tag(id: ImageId, reference: string, target?: Digest): ImageId | undefined {
    const image = this.get(id) ?? missing(id);
    const named = parseReference(reference);
    const row = keyOf(named);
    if (row.digest === undefined && familiarName(named) === "sha256") {
      throw invalid("refusing to create an ambiguous tag using digest algorithm as name");
    }
    const before = this.#records.tables.names.get(row.name)?.image;
    const given = { image: id, target: target ?? image.index ?? image.manifest?.digest };
    this.#records.write(() => this.#records.setReference(row, given, this.#deps.clock.now()));
    return before === id ? undefined : before;
  }

  untag(reference: string): ImageId {
    const named = parseReference(reference);
    const { name } = keyOf(named);
    const id = this.#records.tables.names.get(name)?.image ?? missing(familiarString(withDefaultTag(named)));
    this.#records.write(() => this.#records.dropReference(name));
    return id;
  }

  add(record: NewImage): Image {
    const { content, snapshots, layers, clock } = this.#deps;
    const bytes = readBlob(content, record.id as string as Digest, configLimit);
    const config = parseImageConfig(bytes);
    const chain = chainIds(config.rootfs.diff_ids);
    for (const chainId of chain) {
      if (snapshots.stat(chainId)?.kind !== "committed") {
        throw new TugError("conflict", `layer ${chainId} of image ${record.id} is not unpacked`);
      }
    }
    const manifest = record.manifest && readManifest(content, record.manifest.digest);
    if (manifest && manifest.layers.length !== chain.length) {
      throw new TugError("data-loss", "layers from manifest don't match image configuration");
    }
    const size = chain.reduce((sum, chainId, index) => {
      return sum + (layers.size(chainId) ?? manifest?.layers[index]?.size ?? 0);
    }, 0);
    const blobs = [record.id as string as Digest, ...(manifest?.layers.map((layer) => layer.digest) ?? [])];
    const references = record.references.map((reference) => keyOf(parseReference(reference)));
    const { id, index, parent } = record;
    const text = Buffer.from(bytes).toString("utf8");
    const named = { image: id, target: index?.descriptor.digest ?? record.manifest?.digest };
    this.#records.write(() => {
      const kept = record.blobs ?? [];
      const row = { id, config: text, manifest: record.manifest, index, parent, size, blobs, kept };
      this.#records.put(row, clock.now());
      for (const reference of references) this.#records.setReference(reference, named, clock.now());
    });
    layers.unpin(chain);
    return this.get(record.id) ?? missing(record.id);
  }

  async delete(id: ImageId): Promise<readonly ChainId[]> {
    return await this.drop(id)();
  }

  drop(id: ImageId): () => Promise<readonly ChainId[]> {
    const image = this.#records.tables.images.get(id);
    if (!image) throw missing(id);
    this.#records.write(() => this.#records.drop(id));
    return async () => {
      const gone: ChainId[] = [];
      for (const chainId of [...image.chain].reverse()) {
        if (this.#hidesLayers || !(await this.#removeLayer(chainId))) break;
        gone.push(chainId);
      }
      await this.#collectLayers();
      await this.#collectBlobs();
      return gone;
    };
  }

  atOnce(change: () => void): void {
    this.#records.write(change);
  }

  /** Removes every committed layer and every blob that nothing reaches: what a crash or a removed container left over. */
  async collect(): Promise<void> {
    await this.#collectLayers();
    await this.#collectBlobs();
  }

  /** What `collect` would remove now. */
  unreached(): { readonly layers: readonly ChainId[]; readonly blobs: readonly BlobInfo[] } {
    const { snapshots, layers, content } = this.#deps;
    if (this.#hidesLayers) return { layers: [], blobs: content.unreached(this.roots()) };
    const all = new Map([...snapshots.list()].map((info) => [info.name, info]));
    const wanted = this.imageLayers();
    const isWanted = (name: string) => wanted.has(name) || this.#isKeptByOthers(name);
    for (const { kind, parent } of [...all.values()]) {
      if (kind === "committed") continue;
      for (let name = parent; name !== undefined && !isWanted(name); name = all.get(name)?.parent)
        wanted.add(name);
    }
    const left = [...all.values()].filter(
      ({ name, kind }) => kind === "committed" && !isWanted(name) && !layers.pinned(name),
    );
    return { layers: left.map(({ name }) => name as ChainId), blobs: content.unreached(this.roots()) };
  }

  /** The config document as it came, which the record has too. */
  configText(id: ImageId): string {
    return this.#records.configText(id) ?? missing(id);
  }

  *roots(): Iterable<Digest> {
    yield* this.#records.blobs();
    if (this.#deps.otherBlobs) yield* this.#deps.otherBlobs();
  }

  /** Takes a record away whose layers are lost, with its names. */
  forget(id: ImageId): void {
    this.#records.write(() => this.#records.drop(id));
  }

  /** Layers that images are made of. */
  imageLayers(): Set<string> {
    const layers = new Set<string>();
    for (const image of this.#records.tables.images.values())
      for (const chainId of image.chain) layers.add(chainId);
    return layers;
  }

  /** Removes a layer unless something needs it; says whether it went. For others who kept it (see `keptByOthers`) and do so no more. */
  async release(layer: ChainId): Promise<boolean> {
    return !this.#hidesLayers && (await this.#removeLayer(layer));
  }

  #isKeptByOthers(layer: string): boolean {
    return this.#deps.keptByOthers?.(layer) ?? false;
  }

  #isImageLayer(layer: ChainId): boolean {
    for (const { chain } of this.#records.tables.images.values()) if (chain.includes(layer)) return true;
    return false;
  }

  /** Nobody knows what images without a readable config are made of. */
  get #hidesLayers(): boolean {
    return this.#records.tables.unreadable.length > 0;
  }

  async #collectLayers(): Promise<void> {
    if (this.#hidesLayers) return;
    // A parent becomes removable when its last child went.
    for (let removed = true; removed; ) {
      removed = false;
      const wanted = this.imageLayers();
      for (const info of [...this.#deps.snapshots.list()]) {
        if (info.kind !== "committed" || wanted.has(info.name)) continue;
        if (await this.#removeLayer(info.name as ChainId)) removed = true;
      }
    }
  }

  /**
   * False when somebody still needs it: an image, a build, a layer or a container on top, or an image on its way. Asked for each anew, as images
   * and results come while others go.
   */
  async #removeLayer(chainId: ChainId): Promise<boolean> {
    if (this.#deps.layers.pinned(chainId) || this.#isImageLayer(chainId) || this.#isKeptByOthers(chainId))
      return false;
    try {
      await this.#deps.snapshots.remove(chainId);
    } catch (error) {
      if (isCode(error, "conflict")) return false;
      throw error;
    }
    this.#deps.layers.remove(chainId);
    return true;
  }

  async #collectBlobs(): Promise<void> {
    await this.#deps.content.collect(() => this.roots());
  }
}

/** How a reference is kept: digests lose their tag, names get ":latest" (moby's reference store does the same). */
function keyOf(named: Reference): ReferenceRow {
  if (named.digest === undefined) return { name: familiarString(withDefaultTag(named)), digest: undefined };
  return { name: familiarString({ ...named, tag: undefined }), digest: named.digest };
}

/** That platform of what was found, in Docker's words when it is not here. */
function ofPlatform(
  found: Found,
  reference: string,
  platform: Platform,
  get: (id: ImageId) => Image | undefined,
): Found {
  const { image, index } = found;
  const wanted = formatPlatform(platform);
  if (!index) {
    const own = platformOf(image.config);
    if (choosePlatform([{ ...noDescriptor, platform: own }], platform)) return found;
    throw notFound(
      `image with reference ${reference} was found but its platform (${formatPlatform(own)}) does not match the specified platform (${wanted})`,
    );
  }
  const here = index.manifests.flatMap((each) => {
    const member = index.present.get(each.digest);
    const its = member && get(member);
    return its ? [{ ...each, platform: each.platform ?? platformOf(its.config) }] : [];
  });
  const chosen = choosePlatform(here, platform);
  const id = chosen && index.present.get(chosen.digest);
  const its = id && get(id);
  if (its) return { image: its, target: chosen, index: undefined };
  throw notFound(
    `image with reference ${reference} was found but does not provide the specified platform (${wanted})`,
  );
}

const noDescriptor = { mediaType: "", digest: "" as Digest, size: 0 };

function missing(reference: string): never {
  throw notFound(`No such image: ${reference}`);
}

/** Blobs read here are small and were just written, so reading in place is fine; records must not wait between read and write. */
function readBlob(content: ContentStore, digest: Digest, limit: number): Uint8Array {
  const path = content.path(digest);
  if (statSync(path).size > limit) throw new TugError("data-loss", `blob ${digest} is too large`);
  return readFileSync(path);
}

function readManifest(content: ContentStore, digest: Digest): Manifest {
  return parseManifest(readBlob(content, digest, manifestLimit));
}
