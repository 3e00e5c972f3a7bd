import type { Clock } from "../../base/lib/clock.ts";
import type { ChainId, Digest, ImageId } from "../../base/lib/ids.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { ContentStore, Lease } from "../../core/content/content.ts";
import type { Image, ImageStore } from "../../core/image/image.ts";
import type { PlannedTarget } from "../plan.ts";

export interface ImageExportDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly clock: Clock;
  /** See `LayerBlobs`. */
  readonly blobsOf: (image: Image) => Promise<readonly Digest[]>;
}

/** Where the first own layer lies: on top of the base image's. */
export function baseChain(target: PlannedTarget): ChainId | undefined {
  return chainIds(target.base?.layers ?? []).at(-1);
}

/** Blobs of the base image that nobody can make again; none when it is not here, as its layers came from a cache. */
export async function baseBlobs(deps: ImageExportDeps, target: PlannedTarget): Promise<readonly Digest[]> {
  const base = target.base && deps.images.get(target.base.image as string as ImageId);
  return base ? await deps.blobsOf(base) : [];
}

/**
 * The image in the store of this host: nothing but a config and a record, as its layers are there. Blobs are made when something
 * carries it elsewhere.
 */
export async function recordConfig(
  deps: ImageExportDeps,
  image: {
    readonly target: PlannedTarget;
    readonly config: ImageConfig;
    /** Familiar names with tags. */
    readonly names: readonly string[];
  },
  lease: Lease,
): Promise<Image> {
  const blobs = await baseBlobs(deps, image.target);
  for (const digest of blobs) lease.add(digest);
  const blob = await deps.content.put(Buffer.from(JSON.stringify(image.config)), mediaTypes.ociConfig);
  lease.add(blob.digest);
  return deps.images.add({ id: blob.digest as string as ImageId, references: image.names, blobs });
}
