import { TugError } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import { tarHeader, tarPadding, tarTrailer } from "../../../base/lib/tar/writer.ts";
import { familiarName, familiarString, parseReference } from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import type { Index, Manifest } from "../../../base/spec/oci/image.ts";
import { mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { ContentStore } from "../../content/content.ts";
import type { Image, ImageStore } from "../image.ts";

export interface SaveDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
}

interface SavedImage {
  readonly image: Image;
  readonly tags: Set<string>;
}

/**
 * The images in one tar that is both a docker-archive (manifest.json, repositories) and an OCI layout (index.json, oci-layout),
 * as Docker writes it since version 25. Blobs are the stored ones, byte for byte, so digests survive a round trip. Names are
 * resolved at once; throws not-found before the first byte.
 */
export function saveArchive(
  deps: SaveDeps,
  references: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  return write(deps, chosenImages(deps.images, references));
}

/** A name with a tag saves that tag, a name alone all its tags, an id no name (moby's tarexport). */
function chosenImages(images: ImageStore, references: readonly string[]): readonly SavedImage[] {
  const chosen = new Map<string, SavedImage>();
  const choose = (image: Image, tag: string | undefined) => {
    const saved = chosen.get(image.id) ?? { image, tags: new Set() };
    chosen.set(image.id, saved);
    if (tag !== undefined) saved.tags.add(tag);
  };
  for (const reference of references) {
    const all = tagsOfRepository(images, reference);
    for (const [image, tag] of all) choose(image, tag);
    if (all.length > 0) continue;
    const image = images.resolve(reference);
    const tag = nameOf(reference);
    choose(image, tag !== undefined && image.tags.includes(tag) ? tag : undefined);
  }
  return [...chosen.values()];
}

function tagsOfRepository(images: ImageStore, reference: string): (readonly [Image, string])[] {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(reference)) return [];
  const named = parseReference(reference);
  if (named.tag !== undefined || named.digest !== undefined) return [];
  const prefix = `${familiarName(named)}:`;
  return images.list().flatMap((image) => {
    const tags = image.tags.filter((tag) => tag.slice(0, tag.lastIndexOf(":") + 1) === prefix);
    return tags.map((tag) => [image, tag] as const);
  });
}

function nameOf(reference: string): string | undefined {
  if (/^(?:sha256:)?[a-f0-9]{64}$/.test(reference)) return undefined;
  return familiarString(parseReference(reference));
}

async function* write(
  deps: SaveDeps,
  saved: readonly SavedImage[],
): AsyncGenerator<Uint8Array, void, undefined> {
  using lease = deps.content.lease();
  const written = new Set<Digest>();
  const index: Descriptor[] = [];
  const legacy: object[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  yield* directory("blobs");
  yield* directory("blobs/sha256");
  for (const { image, tags } of saved) {
    const { descriptor, manifest } = await manifestOf(deps.content, image);
    for (const blob of [manifest.config, ...manifest.layers, descriptor]) {
      if (written.has(blob.digest)) continue;
      written.add(blob.digest);
      lease.add(blob.digest);
      yield* blobFile(deps.content, blob);
    }
    const names = [...tags].sort();
    index.push(...named(descriptor, names));
    legacy.push({
      Config: blobPath(manifest.config.digest),
      RepoTags: names.length > 0 ? names : null,
      Layers: manifest.layers.map((layer) => blobPath(layer.digest)),
      LayerSources: Object.fromEntries(manifest.layers.map((layer, i) => [image.layers[i], plain(layer)])),
    });
    for (const name of names) {
      const colon = name.lastIndexOf(":");
      const repository = name.slice(0, colon);
      const top = (image.layers.at(-1) ?? image.id).slice("sha256:".length);
      repositories[repository] = { ...repositories[repository], [name.slice(colon + 1)]: top };
    }
  }
  const document: Index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: index };
  yield* jsonFile("index.json", document);
  yield* jsonFile("manifest.json", legacy);
  yield* jsonFile("oci-layout", { imageLayoutVersion: "1.0.0" });
  if (Object.keys(repositories).length > 0) yield* jsonFile("repositories", repositories);
  yield tarTrailer;
}

async function manifestOf(
  content: ContentStore,
  image: Image,
): Promise<{ readonly descriptor: Descriptor; readonly manifest: Manifest }> {
  if (!image.manifest) throw new TugError("data-loss", `the manifest of image ${image.id} is lost`);
  const bytes = await content.read(image.manifest.digest, manifestLimit);
  const manifest = parseManifest(bytes);
  const { mediaType, digest } = image.manifest;
  return { descriptor: { mediaType, digest, size: bytes.length }, manifest };
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

function blobPath(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function* directory(path: string): Generator<Uint8Array, void, undefined> {
  yield tarHeader({ path, kind: "directory", mode: 0o755 });
}

function* jsonFile(path: string, value: unknown): Generator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(JSON.stringify(value));
  yield tarHeader({ path, kind: "file", mode: 0o644, size: bytes.length });
  yield bytes;
  yield tarPadding(bytes.length);
}

async function* blobFile(
  content: ContentStore,
  blob: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const info = content.stat(blob.digest);
  if (!info) throw new TugError("data-loss", `blob ${blob.digest} is lost`);
  yield tarHeader({ path: blobPath(blob.digest), kind: "file", mode: 0o644, size: info.size });
  let length = 0;
  for await (const chunk of content.stream(blob.digest)) {
    length += chunk.length;
    yield chunk;
  }
  if (length !== info.size) throw new TugError("data-loss", `blob ${blob.digest} changed while it was read`);
  yield tarPadding(info.size);
}
