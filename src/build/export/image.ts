import type { Clock } from "../../base/lib/clock.ts";
import { TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest, ImageId } from "../../base/lib/ids.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { ContentStore } from "../../core/content/content.ts";
import type { Image, ImageStore } from "../../core/image/image.ts";
import type { PlannedTarget } from "../plan.ts";
import { exportedConfig } from "./config.ts";
import type { ExportedLayer } from "./layers.ts";

export interface ImageExportDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly clock: Clock;
  /** See `LayerBlobs`. */
  readonly blobsOf: (image: Image) => Promise<readonly Digest[]>;
}

export interface ImageToExport {
  readonly target: PlannedTarget;
  readonly layers: readonly (ExportedLayer | undefined)[];
  /** Familiar names with tags. */
  readonly names: readonly string[];
  readonly epoch: number | undefined;
}

/** Where the first own layer lies: on top of the base image's. */
export function baseChain(images: ImageStore, target: PlannedTarget): ChainId | undefined {
  return baseImage(images, target)?.chainId;
}

function baseImage(images: ImageStore, target: PlannedTarget): Image | undefined {
  if (!target.base) return undefined;
  const image = images.get(target.base.image as string as ImageId);
  if (!image)
    throw new TugError("conflict", `the image ${target.base.reference} was removed while it was built on`);
  return image;
}

export function imageConfig(deps: ImageExportDeps, { target, layers, epoch }: ImageToExport): ImageConfig {
  const base = baseImage(deps.images, target)?.layers ?? [];
  return exportedConfig({ target, base, layers, epoch, now: deps.clock.now() });
}

/**
 * The image in the store of this host: nothing but a config and a record, as its layers are there. Blobs are made when something
 * carries it elsewhere.
 */
export async function exportImage(deps: ImageExportDeps, image: ImageToExport): Promise<Image> {
  const config = imageConfig(deps, image);
  using lease = deps.content.lease();
  const base = baseImage(deps.images, image.target);
  const blobs = base ? await deps.blobsOf(base) : [];
  for (const digest of blobs) lease.add(digest);
  const blob = await deps.content.put(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig);
  lease.add(blob.digest);
  return deps.images.add({ id: blob.digest as string as ImageId, references: image.names, blobs });
}
