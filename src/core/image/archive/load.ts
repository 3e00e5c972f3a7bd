import { open } from "node:fs/promises";
import { detectCompression, magicLength } from "../../../base/lib/compression/compression.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { ChainId, Digest, ImageId } from "../../../base/lib/ids.ts";
import { familiarString, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../../base/spec/oci/descriptor.ts";
import { digestOf } from "../../../base/spec/oci/digest.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import { isIndexType, mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseIndex, parseManifest } from "../../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../../base/spec/oci/parse-config.ts";
import { choosePlatform, formatPlatform, platformDistance } from "../../../base/spec/oci/platform.ts";
import type { BlobInfo, ContentStore, Lease } from "../../content/content.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import { layerDescriptor, recordImage } from "../create.ts";
import type { Image, ImageStore, LayerSource, LoadEvent, NewIndex, Unpacker } from "../image.ts";
import { attestationSubject, completeManifest, indexBlobs, readIndexTree } from "../index-tree.ts";
import type { LayerRecords } from "../layers.ts";
import { platformOf } from "../platform-of.ts";
import type { StackUnpacker } from "../unpack/layer-stack.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { type ArchivedImage, parseDockerManifest } from "./docker-manifest.ts";
import { unpackAll } from "./unpack-all.ts";

export interface LoadDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly unpacker: Unpacker & StackUnpacker;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
}

export interface LoadOptions {
  /** Only these of an image that has several; every platform that the archive holds otherwise. */
  readonly platforms?: readonly Platform[];
  readonly signal?: AbortSignal;
  /** Gets every blob that came whole, also when the load fails: whoever sends them again need not. */
  readonly received?: Lease;
}

/** An image found in an archive, with the names it is to get. */
interface FoundImage {
  /** Several for an index. */
  readonly platforms: readonly FoundPlatform[];
  readonly index: NewIndex | undefined;
  readonly references: readonly string[];
}

interface FoundPlatform {
  readonly config: Uint8Array;
  readonly parsed: ImageConfig;
  readonly layers: readonly Descriptor[];
  /** The archive's own manifest, kept as it is; undefined where one has to be made. */
  readonly manifest: Descriptor | undefined;
}

/**
 * Loads every image of a docker-archive or OCI layout tar. An archive that is both, as Docker writes it, is read by its
 * index.json, which keeps manifests and indexes as they were; what only its manifest.json tells is taken from there. Images
 * of a damaged archive that were complete before the damage is found are not loaded.
 */
export async function* loadArchive(
  deps: LoadDeps,
  stream: AsyncIterable<Uint8Array>,
  options: LoadOptions = {},
): AsyncGenerator<LoadEvent, void, undefined> {
  const { signal } = options;
  await using files = await ArchiveFiles.read(deps.content, stream, { ...options, unpacker: deps.unpacker });
  for await (const found of foundImages(deps, files, options.platforms ?? [])) {
    const unpacked: ChainId[] = [];
    const before = new Map(found.references.map((name) => [name, holderOf(deps.images, name)]));
    let image: Image | undefined;
    try {
      for (const platform of found.platforms)
        yield* unpackAll(deps, files, layersOf(platform), unpacked, signal);
      for (const platform of found.platforms) image = await record(deps, found, platform);
    } catch (error) {
      deps.layers.unpin(unpacked);
      throw error;
    }
    if (!image) throw invalid("the archive's index lists no image that can be loaded");
    const chosen = found.index ? deps.images.find(found.index.descriptor.digest).image : image;
    if (found.references.length === 0) yield { kind: "loaded", id: chosen.id, reference: undefined };
    for (const reference of found.references) {
      const displaced = before.get(reference);
      const lost = displaced === undefined || displaced === chosen.id ? {} : { displaced };
      yield { kind: "loaded", id: chosen.id, reference, ...lost };
    }
  }
}

/** Some tools leave an index.json that lists nothing beside the manifest.json that counts. */
async function isEmptyIndex(files: ArchiveFiles, index: BlobInfo, archived: number): Promise<boolean> {
  return archived > 0 && parseIndex(await files.readBlob(index, manifestLimit)).manifests.length === 0;
}

function holderOf(images: ImageStore, name: string): ImageId | undefined {
  return images.list().find((image) => image.tags.includes(name))?.id;
}

function layersOf(platform: FoundPlatform): readonly LayerSource[] {
  return platform.parsed.rootfs.diff_ids.map((diffId, index): LayerSource => {
    const descriptor = platform.layers[index];
    if (!descriptor) throw invalid("invalid manifest, layers length mismatch");
    return { descriptor, diffId };
  });
}

async function* foundImages(
  deps: LoadDeps,
  files: ArchiveFiles,
  platforms: readonly Platform[],
): AsyncGenerator<FoundImage, void, undefined> {
  const manifest = files.blob("manifest.json");
  const archived = manifest ? parseDockerManifest(await files.readBlob(manifest, manifestLimit)) : [];
  const index = files.blob("index.json");
  if (!index && !manifest) {
    throw invalid("unrecognized image format: the archive has neither manifest.json nor index.json");
  }
  const tags = new Map<string, readonly string[]>();
  for (const { config, repoTags } of archived) {
    const digest = files.blob(config)?.digest ?? "";
    tags.set(digest, [...(tags.get(digest) ?? []), ...repoTags.map(tagged)]);
  }
  if (!index || (await isEmptyIndex(files, index, archived.length))) {
    if (archived.length === 0) throw invalid("invalid manifest.json: it lists no image");
    for (const image of archived) yield await dockerImage(deps, files, image, platforms);
    return;
  }
  const seen = new Set<string>();
  for await (const image of layoutImages(deps, files, index, platforms)) {
    for (const digest of image.configs) seen.add(digest);
    const more = image.configs.flatMap((digest) => tags.get(digest) ?? []);
    yield { ...image, references: [...new Set([...image.references, ...more])] };
  }
  for (const image of archived) {
    const digest = files.blob(image.config)?.digest ?? "";
    if (!seen.has(digest)) yield await dockerImage(deps, files, image, platforms);
  }
}

async function record(deps: LoadDeps, found: FoundImage, platform: FoundPlatform): Promise<Image> {
  const { references, index } = found;
  const { manifest } = platform;
  if (!manifest) return await recordImage(deps, platform.config, { layers: layersOf(platform), references });
  const config = await deps.content.put(platform.config, mediaTypes.ociConfig);
  const id = config.digest as string as Image["id"];
  return deps.images.add({ id, manifest, references, ...(index ? { index } : {}) });
}

async function dockerImage(
  deps: LoadDeps,
  files: ArchiveFiles,
  image: ArchivedImage,
  platforms: readonly Platform[],
): Promise<FoundImage> {
  const config = await readConfig(files, image.config);
  const expected = config.parsed.rootfs.diff_ids.length;
  if (expected !== image.layers.length) {
    throw invalid(
      `invalid manifest, layers length mismatch: expected ${expected}, got ${image.layers.length}`,
    );
  }
  checkPlatform(config.parsed, platforms);
  const layers: Descriptor[] = [];
  for (const path of image.layers) {
    const blob = files.blob(path);
    if (!blob) throw invalid(`the archive lacks the layer ${JSON.stringify(path)}`);
    layers.push(await describeLayer(deps.content, blob));
  }
  const references = image.repoTags.map(tagged);
  return { platforms: [{ ...config, layers, manifest: undefined }], index: undefined, references };
}

async function readConfig(files: ArchiveFiles, path: string) {
  const blob = files.blob(path);
  if (!blob) throw invalid(`the archive lacks the image config ${JSON.stringify(path)}`);
  const config = await files.readBlob(blob, configLimit);
  return { config, parsed: checkedConfig(config) };
}

function checkedConfig(bytes: Uint8Array): ImageConfig {
  const parsed = parseImageConfig(bytes);
  if (parsed.os !== "linux") throw invalid(`cannot load ${parsed.os} image on linux`);
  return parsed;
}

/** RepoTags hold a name and a tag, nothing else. */
function tagged(text: string): string {
  const named = parseReference(text);
  if (named.digest !== undefined || named.tag === undefined)
    throw invalid(`invalid tag ${JSON.stringify(text)}`);
  return familiarString(named);
}

/** Media type by the blob's first bytes; bzip2 and xz have none, so such a layer is what its tar would be called. */
async function describeLayer(
  content: ContentStore,
  blob: { readonly digest: Descriptor["digest"]; readonly size: number },
): Promise<Descriptor> {
  const file = await open(content.path(blob.digest));
  try {
    const start = Buffer.alloc(magicLength);
    await file.read(start, 0, magicLength, 0);
    const compression = detectCompression(start);
    return layerDescriptor(blob, compression === "gzip" || compression === "zstd" ? compression : "none");
  } finally {
    await file.close();
  }
}

async function* layoutImages(
  deps: LoadDeps,
  files: ArchiveFiles,
  index: BlobInfo,
  platforms: readonly Platform[],
): AsyncGenerator<FoundImage & { readonly configs: readonly Digest[] }, void, undefined> {
  const { manifests } = parseIndex(await files.readBlob(index, manifestLimit));
  // One manifest may stand there once for each of its names.
  const byDigest = new Map<string, { readonly descriptor: Descriptor; readonly references: string[] }>();
  for (const descriptor of manifests) {
    const known = byDigest.get(descriptor.digest) ?? { descriptor, references: [] };
    byDigest.set(descriptor.digest, known);
    const reference = layoutName(descriptor);
    if (reference !== undefined && !known.references.includes(reference)) known.references.push(reference);
  }
  if (byDigest.size === 0) throw invalid("the archive's index.json lists no image");
  for (const { descriptor, references } of byDigest.values()) {
    if (isIndexType(descriptor.mediaType)) {
      yield { ...(await layoutIndex(deps, files, descriptor, platforms)), references };
    } else {
      const image = await layoutImage(files, descriptor);
      checkPlatform(image.parsed, platforms);
      const { annotations: _, ...manifest } = descriptor;
      const configs = [digestOf(image.config)];
      yield { platforms: [{ ...image, manifest }], index: undefined, references, configs };
    }
  }
}

/** Each is an image with a record of the whole index; a real one has tens. */
const platformLimit = 256;

/** Every platform of an index that the archive holds whole, or those asked for; `configs` tells of all that it holds. */
async function layoutIndex(
  deps: LoadDeps,
  files: ArchiveFiles,
  { mediaType, digest, size }: Descriptor,
  platforms: readonly Platform[],
): Promise<Pick<FoundImage, "platforms" | "index"> & { readonly configs: readonly Digest[] }> {
  const descriptor = { mediaType, digest, size };
  need(files, descriptor);
  const archived = {
    stat: (each: Digest) => files.byDigest(each),
    read: (each: Digest, limit: number) => deps.content.read(each, limit),
  };
  const tree = await readIndexTree(archived, descriptor);
  const here: Descriptor[] = [];
  const configs: Digest[] = [];
  const seen = new Set<Digest>();
  for (const entry of tree.manifests) {
    if (seen.has(entry.digest)) continue;
    seen.add(entry.digest);
    const loadable = attestationSubject(entry) === undefined && (entry.platform?.os ?? "linux") === "linux";
    const parts = loadable ? await completeManifest(archived, entry) : undefined;
    if (!parts) continue;
    here.push(entry);
    if (here.length > platformLimit)
      throw invalid(`index ${digest} has more than ${platformLimit} platforms`);
    configs.push(...parts.slice(0, 1).map((config) => config.digest));
  }
  const chosen = platforms.length === 0 ? here : platforms.map((each) => chooseOf(here, each));
  if (chosen.length === 0) throw invalid(`the archive holds no platform of index ${digest} whole`);
  const found: FoundPlatform[] = [];
  for (const manifest of new Set(chosen)) found.push({ ...(await layoutImage(files, manifest)), manifest });
  const blobs = await indexBlobs(archived, tree);
  return { platforms: found, index: { descriptor, manifests: tree.manifests, blobs }, configs };
}

function chooseOf(entries: readonly Descriptor[], platform: Platform): Descriptor {
  return choosePlatform(entries, platform) ?? noPlatform(platform);
}

function checkPlatform(config: ImageConfig, wanted: readonly Platform[]): void {
  const own = platformOf(config);
  for (const platform of wanted) {
    if (platformDistance(platform, own) === undefined) noPlatform(platform);
  }
}

function noPlatform(platform: Platform): never {
  throw new TugError("not-found", `no image found in the archive for platform ${formatPlatform(platform)}`);
}

async function layoutImage(files: ArchiveFiles, descriptor: Descriptor) {
  const bytes = await files.readBlob(need(files, descriptor), manifestLimit);
  const manifest = parseManifest(bytes, descriptor.mediaType);
  const config = await files.readBlob(need(files, manifest.config), configLimit);
  const parsed = checkedConfig(config);
  if (parsed.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new TugError("data-loss", "layers from manifest don't match image configuration");
  }
  for (const layer of manifest.layers) need(files, layer);
  return { config, parsed, layers: manifest.layers };
}

function need(files: ArchiveFiles, descriptor: Descriptor) {
  const blob = files.byDigest(descriptor.digest);
  if (!blob) throw invalid(`the archive lacks blob ${descriptor.digest}`);
  if (blob.size !== descriptor.size) {
    throw new TugError(
      "data-loss",
      `blob ${descriptor.digest} has ${blob.size} bytes, not ${descriptor.size}`,
    );
  }
  return blob;
}

/**
 * containerd and Docker write the whole name beside the OCI annotation, which may hold a tag alone (image-spec v1.1,
 * annotations.md, "org.opencontainers.image.ref.name") and then names nothing.
 */
function layoutName(descriptor: Descriptor): string | undefined {
  const full = descriptor.annotations?.["io.containerd.image.name"];
  const short = descriptor.annotations?.["org.opencontainers.image.ref.name"];
  const text = full ?? (short !== undefined && /[:/]/.test(short) ? short : undefined);
  return text === undefined ? undefined : familiarString(withDefaultTag(parseReference(text)));
}
