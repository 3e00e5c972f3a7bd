import type { Digest } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import { isIndexType, isManifestType } from "../../base/spec/oci/media-types.ts";
import { manifestLimit, parseIndex, parseManifest } from "../../base/spec/oci/parse.ts";
import type { ContentStore } from "../content/content.ts";

/** What an index lists, with the indexes inside it resolved as far as they are in content. */
export interface IndexTree {
  readonly manifests: readonly Descriptor[];
  /** The inner indexes. */
  readonly inner: readonly Descriptor[];
}

/** Indexes inside indexes are rare; deeper ones than this are left as they stand. */
const maxDepth = 3;

/** Reads an index document that is in content. */
export async function readIndexTree(
  content: Pick<ContentStore, "stat" | "read">,
  index: Descriptor,
  depth = 0,
): Promise<IndexTree> {
  const document = parseIndex(await content.read(index.digest, manifestLimit), index.mediaType);
  const manifests: Descriptor[] = [];
  const inner: Descriptor[] = [];
  for (const each of document.manifests) {
    if (isIndexType(each.mediaType) && depth < maxDepth && content.stat(each.digest)) {
      inner.push(each);
      const below = await readIndexTree(content, each, depth + 1);
      manifests.push(...below.manifests);
      inner.push(...below.inner);
    } else {
      manifests.push(each);
    }
  }
  return { manifests, inner };
}

/** The manifest that an attestation is for (BuildKit, docs/attestations/attestation-storage.md); undefined for other entries. */
export function attestationSubject(entry: Descriptor): string | undefined {
  return entry.annotations?.["vnd.docker.reference.type"] === "attestation-manifest"
    ? (entry.annotations["vnd.docker.reference.digest"] ?? "")
    : undefined;
}

/**
 * Everything a manifest is made of, itself last, if all of it is in content; undefined when something lacks or it is no
 * manifest.
 */
export async function completeManifest(
  content: Pick<ContentStore, "stat" | "read">,
  entry: Descriptor,
): Promise<readonly Descriptor[] | undefined> {
  if (!isManifestType(entry.mediaType) || !content.stat(entry.digest)) return undefined;
  const manifest = parseManifest(await content.read(entry.digest, manifestLimit), entry.mediaType);
  const parts = [manifest.config, ...manifest.layers, entry];
  return parts.every((part) => content.stat(part.digest)) ? parts : undefined;
}

/** Digests of an index's inner indexes and of those attestations that are in content, to be kept with it. */
export async function indexBlobs(
  content: Pick<ContentStore, "stat" | "read">,
  tree: IndexTree,
): Promise<readonly Digest[]> {
  const blobs = tree.inner.map((each) => each.digest);
  for (const entry of tree.manifests) {
    if (attestationSubject(entry) === undefined) continue;
    const parts = await completeManifest(content, entry);
    if (parts) blobs.push(...parts.map((part) => part.digest));
  }
  return blobs;
}
