import { invalid, notFound } from "../../../base/lib/errors.ts";
import type { Digest } from "../../../base/lib/ids.ts";
import type { ImageInventory } from "../../../base/spec/docker/extensions.ts";
import { parseDigest } from "../../../base/spec/docker/reference.ts";
import { chainIds } from "../../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../../base/spec/oci/descriptor.ts";
import { asObject, optionalArray, parseObject } from "../../../base/spec/oci/fields.ts";
import { manifestLimit, parseManifest } from "../../../base/spec/oci/parse.ts";
import type { BlobInfo, ContentStore } from "../../content/content.ts";
import type { Image } from "../image.ts";

/**
 * Layers of these images that the side of the inventory can do without: it has the blob, or wherever the blob is used it has the
 * layer unpacked, on the same layers below.
 */
export async function layersLeftOut(
  content: ContentStore,
  images: readonly { readonly image: Image; readonly manifest: Descriptor }[],
  inventory: ImageInventory,
): Promise<ReadonlyMap<Digest, Descriptor>> {
  const blobs = new Set(inventory.Blobs);
  const chains = new Set(inventory.Chains);
  const leftOut = new Map<Digest, Descriptor>();
  const needed = new Set<Digest>();
  for (const { image, manifest } of images) {
    const { layers } = parseManifest(await content.read(manifest.digest, manifestLimit));
    const names = chainIds(image.layers);
    for (const [at, layer] of layers.entries()) {
      if (blobs.has(layer.digest) || chains.has(names[at] ?? "")) leftOut.set(layer.digest, layer);
      else needed.add(layer.digest);
    }
  }
  for (const digest of needed) leftOut.delete(digest);
  return leftOut;
}

/** The document that tells a reader of the archive which layers it has to have. */
export function leftOutDocument(layers: Iterable<Descriptor>): object {
  return {
    version: 1,
    layers: [...layers].map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  };
}

/** The layers that an archive's document names, as they lie in content. Throws not-found naming each that does not. */
export function presentLayers(
  document: Uint8Array,
  content: Pick<ContentStore, "stat">,
): readonly BlobInfo[] {
  const what = "list of layers left out";
  const fields = parseObject(document, what, manifestLimit);
  if (fields["version"] !== 1) throw invalid(`the archive's ${what} is of a version that is not known here`);
  const present: BlobInfo[] = [];
  const lacking: string[] = [];
  for (const each of optionalArray(fields, "layers", what) ?? []) {
    const layer = asObject(each, what);
    const digest = parseDigest(String(layer["digest"]));
    const found = content.stat(digest);
    if (found && found.size === layer["size"]) present.push(found);
    else lacking.push(digest);
  }
  if (lacking.length > 0) {
    throw notFound(
      `the archive leaves out layers that are not here: ${lacking.join(", ")}; make it anew for what this daemon has (tug image inventory, tug image save --missing-on)`,
    );
  }
  return present;
}
