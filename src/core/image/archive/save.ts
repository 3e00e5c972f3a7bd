import { isCode, notFound, TugError } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { tarTrailer } from "../../../base/lib/tar/writer.ts";
import type { ImageInventory } from "../../../base/spec/docker/extensions.ts";
import { leftOutFile } from "../../../base/spec/docker/inventory.ts";
import { familiarName, familiarString, parseReference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor, Platform } from "../../../base/spec/oci/descriptor.ts";
import type { Index } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { ContentStore } from "../../content/content.ts";
import type { Image, ImageIndex, ImageStore } from "../image.ts";
import { attestationSubject, completeManifest, readIndexTree } from "../index-tree.ts";
import { blobFile, blobPath, directory, jsonFile } from "./archive-members.ts";
import { layersLeftOut, leftOutDocument } from "./left-out.ts";

export interface SaveDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
}

export interface SaveOptions {
  /** Only these; every platform that is here otherwise. */
  readonly platforms?: readonly Platform[];
  /** What the reader has: layers of it are left out, and `leftOutFile` comes first and names them. */
  readonly missingOn?: ImageInventory;
}

/** What one entry of index.json becomes. */
interface Entry {
  readonly descriptor: Descriptor;
  /** Platforms to write, the one for manifest.json first. */
  readonly images: readonly SavedPlatform[];
  /** Set for an index. */
  readonly index: ImageIndex | undefined;
  readonly tags: Set<string>;
}

interface SavedPlatform {
  readonly image: Image;
  readonly manifest: Descriptor;
}

/**
 * The images in one tar that is both a docker-archive (manifest.json, repositories) and an OCI layout (index.json, oci-layout),
 * as Docker writes it since version 25. Blobs are the stored ones, byte for byte, and an index stays one, so digests survive
 * a round trip. Names are resolved at once; throws not-found before the first byte.
 */
export function saveArchive(
  deps: SaveDeps,
  references: readonly string[],
  options: SaveOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  return write(deps, chosenImages(deps.images, references, options.platforms ?? []), options.missingOn);
}

/** A name with a tag saves that tag, a name alone all its tags, an id no name (moby's tarexport). */
function chosenImages(
  images: ImageStore,
  references: readonly string[],
  platforms: readonly Platform[],
): readonly Entry[] {
  const chosen = new Map<string, Entry>();
  const choose = (reference: string, tag: string | undefined) => {
    const fresh = entryOf(images, reference, platforms);
    const entry = chosen.get(fresh.descriptor.digest) ?? fresh;
    chosen.set(fresh.descriptor.digest, entry);
    if (tag !== undefined) entry.tags.add(tag);
  };
  for (const reference of references) {
    const all = tagsOfRepository(images, reference);
    for (const tag of all) choose(tag, tag);
    if (all.length > 0) continue;
    const image = resolveTyped(images, reference);
    const tag = nameOf(reference);
    choose(reference, tag !== undefined && image.tags.includes(tag) ? tag : undefined);
  }
  return [...chosen.values()];
}

/** dockerd's complaint names what was typed here, without a tag of its own. */
function resolveTyped(images: ImageStore, reference: string): Image {
  try {
    return images.resolve(reference);
  } catch (error) {
    if (!isCode(error, "not-found")) throw error;
    throw notFound(`No such image: ${reference}`, error);
  }
}

/** One platform is saved as its manifest, several (or all) as their index. */
function entryOf(images: ImageStore, reference: string, platforms: readonly Platform[]): Entry {
  const { image, target, index } = images.find(reference);
  const wanted = platforms.map((platform) => images.resolve(reference, platform));
  const lost = () => new TugError("data-loss", `the manifest of image ${image.id} is lost`);
  if (!target) throw lost();
  if (!index) return { descriptor: target, images: [{ image, manifest: target }], index, tags: new Set() };
  const ids = new Set(wanted.map((each) => each.id));
  const here = index.manifests.flatMap((manifest) => {
    const id = index.present.get(manifest.digest);
    const its = id && (ids.size === 0 || ids.has(id)) ? images.get(id) : undefined;
    return its ? [{ image: its, manifest }] : [];
  });
  here.sort((a, b) => Number(b.image.id === image.id) - Number(a.image.id === image.id));
  const [first] = here;
  if (!first) throw lost();
  return platforms.length === 1
    ? { descriptor: first.manifest, images: [first], index: undefined, tags: new Set() }
    : { descriptor: index.descriptor, images: here, index, tags: new Set() };
}

function tagsOfRepository(images: ImageStore, reference: string): readonly string[] {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(reference)) return [];
  const named = parseReference(reference);
  if (named.tag !== undefined || named.digest !== undefined) return [];
  const prefix = `${familiarName(named)}:`;
  const tags = images.list().flatMap((image) => image.tags);
  return tags.filter((tag) => tag.slice(0, tag.lastIndexOf(":") + 1) === prefix);
}

function nameOf(reference: string): string | undefined {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(reference)) return undefined;
  return familiarString(parseReference(reference));
}

async function* write(
  deps: SaveDeps,
  entries: readonly Entry[],
  missingOn: ImageInventory | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { content } = deps;
  using lease = content.lease();
  const written = new Set<Digest>();
  if (missingOn) {
    const images = entries.flatMap((entry) => entry.images);
    const leftOut = await layersLeftOut(content, images, missingOn);
    for (const digest of leftOut.keys()) written.add(digest);
    yield* jsonFile(leftOutFile, leftOutDocument(leftOut.values()));
  }
  const blobs = async function* (list: readonly Descriptor[]) {
    for (const blob of list) {
      if (written.has(blob.digest)) continue;
      written.add(blob.digest);
      lease.add(blob.digest);
      yield* blobFile(content, blob);
    }
  };
  const index: Descriptor[] = [];
  const legacy: object[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  yield* directory("blobs");
  yield* directory("blobs/sha256");
  for (const entry of entries) {
    const names = [...entry.tags].sort();
    index.push(...named(entry.descriptor, names));
    for (const [at, { image, manifest: descriptor }] of entry.images.entries()) {
      const manifest = parseManifest(await content.read(descriptor.digest, manifestLimit));
      yield* blobs([manifest.config, ...manifest.layers, descriptor]);
      if (at > 0) continue;
      legacy.push({
        Config: blobPath(manifest.config.digest),
        RepoTags: names.length > 0 ? names : null,
        Layers: manifest.layers.map((layer) => blobPath(layer.digest)),
        LayerSources: Object.fromEntries(manifest.layers.map((layer, i) => [image.layers[i], plain(layer)])),
      });
      addRepositories(repositories, names, image);
    }
    if (entry.index) yield* blobs(await besides(content, entry.index, entry.images));
  }
  const document: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: index };
  yield* jsonFile("index.json", document);
  yield* jsonFile("manifest.json", legacy);
  yield* jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" });
  if (Object.keys(repositories).length > 0) yield* jsonFile("repositories", repositories);
  yield tarTrailer;
}

/** What belongs to an index besides its images: attestations of those that are written, and its documents. */
async function besides(
  content: ContentStore,
  index: ImageIndex,
  images: readonly SavedPlatform[],
): Promise<readonly Descriptor[]> {
  const subjects = new Set<string>(images.map(({ manifest }) => manifest.digest));
  const list: Descriptor[] = [];
  for (const each of index.manifests) {
    if (!subjects.has(attestationSubject(each) ?? "")) continue;
    list.push(...((await completeManifest(content, each)) ?? []));
  }
  const { inner } = await readIndexTree(content, index.descriptor);
  return [...list, ...inner, index.descriptor];
}

function addRepositories(
  repositories: Record<string, Record<string, string>>,
  names: readonly string[],
  image: Image,
): void {
  for (const name of names) {
    const colon = name.lastIndexOf(":");
    const repository = name.slice(0, colon);
    const top = (image.layers.at(-1) ?? image.id).slice("sha256:".length);
    repositories[repository] = { ...repositories[repository], [name.slice(colon + 1)]: top };
  }
}

/** One descriptor for each name; one without a name for an image saved by its id. */
function named(descriptor: Descriptor, names: readonly string[]): Descriptor[] {
  if (names.length === 0) return [descriptor];
  return names.map((name) => {
    const ref = parseReference(name);
    return {
      ...descriptor,
      annotations: {
        "io.containerd.image.name": `${ref.domain}/${ref.path}:${ref.tag}`,
        "org.opencontainers.image.ref.name": ref.tag ?? "",
      },
    };
  });
}

function plain({ mediaType, digest, size }: Descriptor) {
  return { mediaType, size, digest };
}
