import { TugError } from "../../base/lib/errors.ts";
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

/** Entries of all of them together; a real index has tens. */
const maxEntries = 100_000;

/**
 * Reads an index document that is in content. Each inner index is read once, wherever it is listed: a few that list each other many
 * times would unfold to more than memory holds. Throws data-loss for more than 100,000 entries.
 */
export async function readIndexTree(
  content: Pick<ContentStore, "stat" | "read">,
  index: Descriptor,
): Promise<IndexTree> {
  const manifests: Descriptor[] = [];
  const inner: Descriptor[] = [];
  const seen = new Set<Digest>([index.digest]);
  const read = async (from: Descriptor, depth: number): Promise<void> => {
    const document = parseIndex(await content.read(from.digest, manifestLimit), from.mediaType);
    for (const each of document.manifests) {
      const opened = isIndexType(each.mediaType) && depth < maxDepth && content.stat(each.digest);
      if (!opened) manifests.push(each);
      else if (!seen.has(each.digest)) {
        seen.add(each.digest);
        inner.push(each);
        await read(each, depth + 1);
      }
      if (manifests.length + inner.length > maxEntries)
        throw new TugError("data-loss", `index ${index.digest} lists more than ${maxEntries} manifests`);
    }
  };
  await read(index, 0);
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
  const seen = new Set<Digest>();
  for (const entry of tree.manifests) {
    if (attestationSubject(entry) === undefined || seen.has(entry.digest)) continue;
    seen.add(entry.digest);
    const parts = await completeManifest(content, entry);
    if (parts) blobs.push(...parts.map((part) => part.digest));
  }
  return blobs;
}
