import { open } from "node:fs/promises";
import { detectCompression, magicLength } from "../../../base/lib/compression/compression.ts";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import type { ChainId } from "../../../base/lib/ids.ts";
import { familiarString, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { chainId } from "../../../base/spec/oci/chain.ts";
import type { Descriptor, Platform } from "../../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../../base/spec/oci/image.ts";
import { isIndexType, mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseIndex, parseManifest } from "../../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../../base/spec/oci/parse-config.ts";
import { choosePlatform } from "../../../base/spec/oci/platform.ts";
import type { ContentStore } from "../../content/content.ts";
import type { Snapshotter } from "../../snapshot/snapshotter.ts";
import { layerDescriptor, recordImage } from "../create.ts";
import type { Image, ImageStore, LayerSource, LoadEvent, Unpacker } from "../image.ts";
import type { LayerRecords } from "../layers.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { parseDockerManifest } from "./docker-manifest.ts";
import { ProgressRelay } from "./progress-relay.ts";

export interface LoadDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly unpacker: Unpacker;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
  /** This host's, to choose from an index. */
  readonly platform: Platform;
}

/** An image found in an archive, with the names it is to get. */
interface FoundImage {
  readonly config: Uint8Array;
  readonly parsed: ImageConfig;
  readonly layers: readonly Descriptor[];
  /** The archive's own manifest, kept as it is; undefined where one has to be made. */
  readonly manifest: Descriptor | undefined;
  readonly references: readonly string[];
}

/**
 * Loads every image of a docker-archive or OCI layout tar. With manifest.json the archive is read as Docker reads it;
 * without, by its index.json. Images of a damaged archive that were complete before the damage is found are not loaded.
 */
export async function* loadArchive(
  deps: LoadDeps,
  stream: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<LoadEvent, void, undefined> {
  using files = await ArchiveFiles.read(deps.content, stream, signal);
  for await (const found of files.has("manifest.json")
    ? dockerImages(deps, files)
    : layoutImages(deps, files)) {
    const layers = found.parsed.rootfs.diff_ids.map((diffId, index): LayerSource => {
      const descriptor = found.layers[index];
      if (!descriptor) throw invalid("invalid manifest, layers length mismatch");
      return { descriptor, diffId };
    });
    const unpacked: ChainId[] = [];
    let image: Image;
    try {
      yield* unpackAll(deps, layers, unpacked, signal);
      image = await record(deps, found, layers);
    } catch (error) {
      deps.layers.unpin(unpacked);
      throw error;
    }
    if (found.references.length === 0) yield { kind: "loaded", id: image.id, reference: undefined };
    for (const reference of found.references) yield { kind: "loaded", id: image.id, reference };
  }
}

/** Tells in `unpacked` which layers were not there before. */
async function* unpackAll(
  deps: LoadDeps,
  layers: readonly LayerSource[],
  unpacked: ChainId[],
  signal: AbortSignal | undefined,
): AsyncGenerator<LoadEvent, void, undefined> {
  let parent: ChainId | undefined;
  for (const layer of layers) {
    const name = chainId(parent, layer.diffId);
    if (deps.snapshots.stat(name)) await deps.unpacker.verify(layer, signal);
    else unpacked.push(name);
    const relay = new ProgressRelay<LoadEvent>();
    const work = deps.unpacker.unpack(layer, parent, {
      ...(signal ? { signal } : {}),
      onProgress: (done, total) => relay.put({ kind: "progress", layer: layer.diffId, done, total }),
    });
    yield* relay.until(work);
    parent = await work;
  }
}

async function record(deps: LoadDeps, found: FoundImage, layers: readonly LayerSource[]): Promise<Image> {
  if (!found.manifest) return await recordImage(deps, found.config, { layers, references: found.references });
  const config = await deps.content.put(found.config, mediaTypes.ociConfig);
  return deps.images.add({
    id: config.digest as string as Image["id"],
    manifest: found.manifest,
    references: found.references,
  });
}

async function* dockerImages(
  deps: LoadDeps,
  files: ArchiveFiles,
): AsyncGenerator<FoundImage, void, undefined> {
  const manifest = files.blob("manifest.json");
  if (!manifest) return;
  const images = parseDockerManifest(await files.readBlob(manifest, manifestLimit));
  if (images.length === 0) throw invalid("invalid manifest.json: it lists no image");
  for (const image of images) {
    const config = await readConfig(files, image.config);
    const expected = config.parsed.rootfs.diff_ids.length;
    if (expected !== image.layers.length) {
      throw invalid(
        `invalid manifest, layers length mismatch: expected ${expected}, got ${image.layers.length}`,
      );
    }
    const layers: Descriptor[] = [];
    for (const path of image.layers) {
      const blob = files.blob(path);
      if (!blob) throw invalid(`the archive lacks the layer ${JSON.stringify(path)}`);
      layers.push(await describeLayer(deps.content, blob));
    }
    const references = image.repoTags.map(tagged);
    yield { ...config, layers, manifest: undefined, references };
  }
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
): AsyncGenerator<FoundImage, void, undefined> {
  const index = files.blob("index.json");
  if (!index) {
    throw invalid("unrecognized image format: the archive has neither manifest.json nor index.json");
  }
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
    const manifest = await chooseManifest(deps, files, descriptor);
    yield { ...(await layoutImage(files, manifest)), manifest, references };
  }
}

/** Follows an index to the manifest for this host. */
async function chooseManifest(
  deps: LoadDeps,
  files: ArchiveFiles,
  descriptor: Descriptor,
): Promise<Descriptor> {
  if (!isIndexType(descriptor.mediaType)) return descriptor;
  const index = parseIndex(
    await files.readBlob(need(files, descriptor), manifestLimit),
    descriptor.mediaType,
  );
  const chosen = choosePlatform(index.manifests, deps.platform);
  if (!chosen) {
    const { os, architecture } = deps.platform;
    throw new TugError(
      "not-found",
      `no image found in the archive's index for platform ${os}/${architecture}`,
    );
  }
  if (isIndexType(chosen.mediaType)) throw invalid("nested indexes are not images");
  return chosen;
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
