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
import type { Manifest } from "../../base/spec/oci/image.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../base/spec/oci/parse-config.ts";
import type { Database } from "../../base/store/database.ts";
import type { ContentCollector, ContentStore } from "../content/content.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Image, ImageRoots, ImageStore, NewImage } from "./image.ts";
import type { LayerRecords } from "./layers.ts";
import { ImageRecords, type ReferenceRow } from "./records.ts";

export interface ImageStoreDeps {
  readonly db: Database;
  readonly content: ContentStore & ContentCollector;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
  readonly clock: Clock;
  /** What others (a build cache) keep in the same stores. */
  readonly otherBlobs?: () => Iterable<Digest>;
  readonly otherLayers?: () => Iterable<string>;
}

/** Image records in SQLite, and the removal of layers and blobs that nothing reaches any more. */
export class SqliteImageStore implements ImageStore, ImageRoots {
  readonly #deps: ImageStoreDeps;
  readonly #records: ImageRecords;

  constructor(deps: ImageStoreDeps) {
    this.#deps = deps;
    this.#records = new ImageRecords(deps.db);
  }

  list(): readonly Image[] {
    return [...this.#records.images.values()];
  }

  get(id: ImageId): Image | undefined {
    return this.#records.images.get(id);
  }

  resolve(reference: string): Image {
    // An id of 64 digits is no reference by the grammar, and the text of Docker's error names it as an id.
    const id = /^(?:sha256:)?([a-f0-9]{64})$/.exec(reference)?.[1];
    if (id !== undefined) return this.get(`sha256:${id}` as ImageId) ?? missing(`sha256:${id}`);
    const named = parseReference(reference);
    const known = this.#records.names.get(keyOf(named).name);
    const found = known && this.get(known);
    return found ?? this.#byPrefix(reference) ?? missing(familiarString(withDefaultTag(named)));
  }

  #byPrefix(text: string): Image | undefined {
    const prefix = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
    if (!/^[a-f0-9]+$/.test(prefix)) return undefined;
    const found = this.list().filter((image) => image.id.startsWith(`sha256:${prefix}`));
    if (found.length > 1) throw invalid(`Multiple IDs found with provided prefix: ${text}`);
    return found[0];
  }

  tag(id: ImageId, reference: string): ImageId | undefined {
    if (!this.get(id)) throw missing(id);
    const named = parseReference(reference);
    const row = keyOf(named);
    if (row.digest === undefined && familiarName(named) === "sha256") {
      throw invalid("refusing to create an ambiguous tag using digest algorithm as name");
    }
    const before = this.#records.names.get(row.name);
    this.#records.write(() => this.#records.setReference(row, id, this.#deps.clock.now()));
    return before === id ? undefined : before;
  }

  untag(reference: string): ImageId {
    const named = parseReference(reference);
    const { name } = keyOf(named);
    const id = this.#records.names.get(name) ?? missing(familiarString(withDefaultTag(named)));
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
    const blobs = [
      record.id as string as Digest,
      ...(record.manifest ? [record.manifest.digest] : []),
      ...(manifest?.layers.map((layer) => layer.digest) ?? []),
    ];
    const references = record.references.map((reference) => keyOf(parseReference(reference)));
    this.#records.write(() => {
      this.#records.put(
        {
          id: record.id,
          config: Buffer.from(bytes).toString("utf8"),
          manifest: record.manifest,
          parent: record.parent,
          size,
          blobs,
        },
        clock.now(),
      );
      for (const reference of references) this.#records.setReference(reference, record.id, clock.now());
    });
    layers.unpin(chain);
    return this.get(record.id) ?? missing(record.id);
  }

  async delete(id: ImageId): Promise<readonly ChainId[]> {
    const image = this.#records.images.get(id);
    if (!image) throw missing(id);
    this.#records.write(() => this.#records.drop(id));
    const gone: ChainId[] = [];
    const wanted = this.#wantedLayers();
    for (const chainId of [...image.chain].reverse()) {
      if (wanted.has(chainId) || !(await this.#removeLayer(chainId))) break;
      gone.push(chainId);
    }
    await this.#collectLayers();
    await this.#collectBlobs();
    return gone;
  }

  /** Removes every committed layer and every blob that nothing reaches: what a crash or a removed container left over. */
  async collect(): Promise<void> {
    await this.#collectLayers();
    await this.#collectBlobs();
  }

  *roots(): Iterable<Digest> {
    yield* this.#records.blobs();
    if (this.#deps.otherBlobs) yield* this.#deps.otherBlobs();
  }

  /** Takes a record away whose layers are lost, with its names. */
  forget(id: ImageId): void {
    this.#records.write(() => this.#records.drop(id));
  }

  #wantedLayers(): Set<string> {
    const wanted = new Set<string>(this.#deps.otherLayers?.() ?? []);
    for (const image of this.#records.images.values()) for (const chainId of image.chain) wanted.add(chainId);
    return wanted;
  }

  async #collectLayers(): Promise<void> {
    const wanted = this.#wantedLayers();
    // A parent becomes removable when its last child went.
    for (let removed = true; removed; ) {
      removed = false;
      for (const info of [...this.#deps.snapshots.list()]) {
        if (info.kind !== "committed" || wanted.has(info.name)) continue;
        if (await this.#removeLayer(info.name as ChainId)) removed = true;
      }
    }
  }

  /** False when somebody still needs it: a layer or a container on top, or an image on its way. */
  async #removeLayer(chainId: ChainId): Promise<boolean> {
    if (this.#deps.layers.pinned(chainId)) return false;
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
