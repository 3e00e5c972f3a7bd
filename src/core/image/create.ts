import { invalid } from "../../base/lib/errors.ts";
import type { DiffId, ImageId } from "../../base/lib/ids.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import type { HistoryEntry, ImageConfig, Manifest } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import type { ContentStore } from "../content/content.ts";
import type { Image, ImageStore, LayerSource } from "./image.ts";

export interface CreateImageDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
}

export interface ImageToCreate {
  /** Its rootfs is replaced by `layers`; what else stands in it is kept. */
  readonly config: ImageConfig;
  /** Bottom first; each blob is in content and unpacked. */
  readonly layers: readonly LayerSource[];
  readonly references: readonly string[];
  readonly parent?: ImageId;
}

/** Makes an image of this host's own (import, commit, build): writes config and manifest, and records it. */
export async function createImage(deps: CreateImageDeps, image: ImageToCreate): Promise<Image> {
  const config: ImageConfig = {
    ...image.config,
    rootfs: { type: "layers", diff_ids: image.layers.map((layer) => layer.diffId) },
  };
  return await recordImage(deps, Buffer.from(JSON.stringify(config)), image);
}

/** The same for a config whose bytes are given, as they decide the image's id. */
export async function recordImage(
  deps: CreateImageDeps,
  config: Uint8Array,
  image: Omit<ImageToCreate, "config">,
): Promise<Image> {
  using lease = deps.content.lease(image.layers.map((layer) => layer.descriptor.digest));
  const configBlob = await deps.content.put(config, mediaTypes.ociConfig);
  lease.add(configBlob.digest);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: configBlob,
    layers: image.layers.map((layer) => layer.descriptor),
  };
  const manifestBlob = await deps.content.put(Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
  lease.add(manifestBlob.digest);
  return deps.images.add({
    id: configBlob.digest as string as ImageId,
    manifest: manifestBlob,
    references: image.references,
    ...(image.parent === undefined ? {} : { parent: image.parent }),
  });
}

/** Appends to a config the layer and the history entry that a commit or a build step adds. */
export function withLayer(config: ImageConfig, diffId: DiffId | undefined, entry: HistoryEntry): ImageConfig {
  if (diffId !== undefined && entry.empty_layer) throw invalid("an empty layer has no diffID");
  const added = diffId === undefined ? [] : [diffId];
  return {
    ...config,
    rootfs: { type: "layers", diff_ids: [...config.rootfs.diff_ids, ...added] },
    history: [...(config.history ?? []), diffId === undefined ? { ...entry, empty_layer: true } : entry],
  };
}

/** Media type of a layer blob by its compression; the image-spec knows these three. */
function layerMediaType(compression: "none" | "gzip" | "zstd"): string {
  if (compression === "gzip") return mediaTypes.ociLayerGzip;
  return compression === "zstd" ? mediaTypes.ociLayerZstd : mediaTypes.ociLayer;
}

export function layerDescriptor(
  blob: { readonly digest: Descriptor["digest"]; readonly size: number },
  compression: "none" | "gzip" | "zstd",
): Descriptor {
  return { mediaType: layerMediaType(compression), digest: blob.digest, size: blob.size };
}
