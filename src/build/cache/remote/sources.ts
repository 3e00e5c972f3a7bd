import { invalid, isCode, notFound } from "../../../base/lib/errors.ts";
import type { DiffId, Digest } from "../../../base/lib/ids.ts";
import {
  familiarString,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../../base/spec/docker/reference.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { asObject, optionalString, parseObject } from "../../../base/spec/oci/fields.ts";
import type { Manifest } from "../../../base/spec/oci/image.ts";
import { isImageConfigType, mediaTypes } from "../../../base/spec/oci/media-types.ts";
import { manifestLimit, parseImageDocument } from "../../../base/spec/oci/parse.ts";
import { configLimit, parseImageConfig } from "../../../base/spec/oci/parse-config.ts";
import type { ContentStore, Lease } from "../../../core/content/content.ts";
import type { Image, ImageStore } from "../../../core/image/image.ts";
import { attestationSubject } from "../../../core/image/index-tree.ts";
import { flag } from "../../export/format.ts";
import type { BuildSession } from "../../session.ts";
import {
  type CacheDocument,
  cacheConfigType,
  documentLimit,
  inlineMember,
  parseCacheDocument,
  parseInlineSteps,
} from "./document.ts";
import type { CacheSource } from "./imported.ts";

export interface RemoteBlobs {
  readonly session: BuildSession;
  readonly signal: AbortSignal;
  readonly lease: Lease;
  readonly insecure: boolean;
}

/** What caches need of registries, with the session's credentials. */
export interface CacheRegistry {
  /** Makes the document that a name or digest means exist in content. */
  document(ref: Reference, options: RemoteBlobs): Promise<Descriptor>;
  fetch(
    ref: Reference,
    blob: Descriptor,
    options: RemoteBlobs & { readonly onProgress?: (done: number, total: number) => void },
  ): Promise<void>;
}

export interface SourceDeps {
  readonly content: ContentStore;
  readonly registry: CacheRegistry;
  readonly images: Pick<ImageStore, "find">;
}

/** No image has so many platforms. */
const platformLimit = 32;

export interface FoundCache {
  readonly source: CacheSource;
  readonly document: CacheDocument;
}

/** `type=registry,ref=…`: a cache that was put there by itself, or images that have theirs inside. */
export async function registryCache(
  deps: SourceDeps,
  attributes: Readonly<Record<string, string>>,
  options: Omit<RemoteBlobs, "insecure">,
): Promise<readonly FoundCache[]> {
  const ref = cacheReference(attributes);
  const remote = { ...options, insecure: flag(attributes, "registry.insecure", false) };
  const source: CacheSource = {
    name: attributes["ref"] ?? "",
    repository: { ...ref, tag: undefined, digest: undefined },
    fetch: (blob, how) => deps.registry.fetch(ref, blob, { ...remote, ...how }),
  };
  const found: CacheDocument[] = [];
  for (const manifest of await manifests(deps, ref, remote))
    found.push(...(await documentOf(deps, source, manifest, remote)));
  if (found.length === 0) throw notFound(`${source.name} has no build cache of this builder's`);
  return found.map((document) => ({ source, document }));
}

export function cacheReference(attributes: Readonly<Record<string, string>>): Reference {
  const text = attributes["ref"];
  if (!text) throw invalid("a cache of type registry needs a ref: type=registry,ref=HOST/NAME:TAG");
  return withDefaultTag(parseReference(text));
}

async function manifests(
  { content, registry }: SourceDeps,
  ref: Reference,
  remote: RemoteBlobs,
): Promise<readonly Manifest[]> {
  const read = async (at: Reference) => {
    const { digest, mediaType } = await registry.document(at, remote);
    remote.lease.add(digest);
    return parseImageDocument(await content.read(digest, manifestLimit), mediaType);
  };
  const top = await read(ref);
  if (top.kind === "manifest") return [top.manifest];
  if (top.kind !== "index") return [];
  const found: Manifest[] = [];
  for (const entry of top.index.manifests.slice(0, platformLimit)) {
    if (attestationSubject(entry) !== undefined) continue;
    const document = await read({ ...ref, tag: undefined, digest: entry.digest });
    if (document.kind === "manifest") found.push(document.manifest);
  }
  return found;
}

async function documentOf(
  { content }: SourceDeps,
  source: CacheSource,
  { config, layers }: Manifest,
  { signal, lease }: RemoteBlobs,
): Promise<readonly CacheDocument[]> {
  const isCache = config.mediaType === cacheConfigType;
  if (!isCache && !isImageConfigType(config.mediaType)) return [];
  lease.add(config.digest);
  if (!content.stat(config.digest)) await source.fetch(config, { signal, lease });
  const bytes = await content.read(config.digest, isCache ? documentLimit : configLimit);
  if (isCache) return [parseCacheDocument(bytes)];
  const blobs = [...layers];
  const found = inlineDocument(bytes, (index) => blobs[index]);
  return found && parseImageConfig(bytes).rootfs.diff_ids.length === layers.length ? [found] : [];
}

/** The cache that an image has in its config; `blobOf`: its layers. */
function inlineDocument(
  config: Uint8Array,
  blobOf: (index: number, diffId: DiffId) => Descriptor | undefined,
): CacheDocument | undefined {
  const text = optionalString(
    asObject(parseObject(config, "image config", configLimit), ""),
    inlineMember,
    "",
  );
  if (text === undefined) return undefined;
  const diffIds = parseImageConfig(config).rootfs.diff_ids;
  return {
    steps: parseInlineSteps(text, diffIds.length),
    layers: diffIds.flatMap((diffId, index) => {
      const blob = blobOf(index, diffId);
      return blob === undefined ? [] : [{ blob, diffId, parent: index - 1 }];
    }),
    mounts: [],
  };
}

/**
 * An image that is here, with the cache that it has in itself, if any: dockerd looks there first and asks no registry then. Its layers are here,
 * too, so nothing is fetched. undefined: there is no such image.
 */
export async function storedCache(
  { content, images }: SourceDeps,
  attributes: Readonly<Record<string, string>>,
): Promise<readonly FoundCache[] | undefined> {
  const ref = cacheReference(attributes);
  let image: Image;
  try {
    image = images.find(familiarString(ref)).image;
  } catch (error) {
    if (isCode(error, "not-found")) return undefined;
    throw error;
  }
  const config = await content.read(image.id as string as Digest, configLimit);
  const document = inlineDocument(config, (_, diffId) => ({
    mediaType: mediaTypes.ociLayer,
    digest: diffId as string as Digest,
    size: 0,
  }));
  const name = attributes["ref"] ?? "";
  const gone = async () => {
    throw notFound(`a layer of ${name} was removed while it was built from`);
  };
  return document ? [{ source: { name, stored: true, repository: undefined, fetch: gone }, document }] : [];
}
