import { TugError } from "../../base/lib/errors.ts";
import type { ChainId, DiffId, Digest, ImageId } from "../../base/lib/ids.ts";
import { KeyedMutex } from "../../base/lib/mutex.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Descriptor } from "../../base/spec/oci/descriptor.ts";
import type { Manifest } from "../../base/spec/oci/image.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { BlobInfo, ContentStore } from "../content/content.ts";
import type { SnapshotLayout, Snapshotter } from "../snapshot/snapshotter.ts";
import { layerDescriptor } from "./create.ts";
import type { Image, ImageStore } from "./image.ts";
import type { LayerRecords } from "./layers.ts";

/** Writes a snapshot's changes as a layer: the same bytes each time. */
export interface LayerWriter {
  layerBlob(
    layout: SnapshotLayout,
    sink: (chunk: Uint8Array) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<{ readonly diffId: DiffId; readonly size: number }>;
}

export interface LayerBlobsDeps {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly snapshots: Snapshotter;
  readonly layers: LayerRecords;
  readonly writer: LayerWriter;
}

/**
 * The blobs of images that were built here. A build makes layers as snapshots only; what carries them elsewhere (push, save) needs them as
 * blobs, with a manifest, and gets them made the first time. From then on the image has them like one that was pulled.
 */
export class LayerBlobs {
  readonly #deps: LayerBlobsDeps;
  readonly #locks = new KeyedMutex();

  constructor(deps: LayerBlobsDeps) {
    this.#deps = deps;
  }

  /** The image with its manifest and all its blobs; at once for one that has them. */
  async complete(id: ImageId, signal?: AbortSignal): Promise<Image> {
    return await this.#locks.run(id, async () => {
      const image = this.#deps.images.get(id);
      if (!image) throw new TugError("not-found", `No such image: ${id}`);
      if (image.manifest) return image;
      const { content, images } = this.#deps;
      using lease = content.lease([id as string as Digest]);
      const layers: Descriptor[] = [];
      for (const [index, chainId] of chainIds(image.layers).entries()) {
        const diffId = image.layers[index];
        if (diffId === undefined) continue;
        const layer = await this.layer(chainId, diffId, signal);
        lease.add(layer.digest);
        layers.push(layer);
      }
      const config = content.stat(id as string as Digest);
      if (!config) throw new TugError("data-loss", `the config of image ${id} is lost`);
      const manifest: Manifest = {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: { mediaType: mediaTypes.ociConfig, digest: config.digest, size: config.size },
        layers,
      };
      const blob = await content.put(Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
      lease.add(blob.digest);
      return images.add({
        id,
        manifest: blob,
        references: [],
        ...(image.parent === undefined ? {} : { parent: image.parent }),
      });
    });
  }

  /** The layer's blob: the one that brought it, or one made from its snapshot. The caller holds a lease before the next collection. */
  async layer(chainId: ChainId, diffId: DiffId, signal?: AbortSignal): Promise<Descriptor> {
    return await this.#locks.run(chainId, async () => {
      const known = this.#deps.layers.blob(diffId);
      if (known && this.#deps.content.stat(known.digest)) return known;
      const { content, snapshots, layers, writer } = this.#deps;
      await using ingest = await content.ingest(`layer-of-${chainId}`, undefined, signal);
      try {
        if (ingest.offset > 0) throw new TugError("internal", "a layer that is made begins at its beginning");
        const made = await writer.layerBlob(
          snapshots.layout(chainId),
          (chunk) => ingest.write(chunk),
          signal,
        );
        if (made.diffId !== diffId) {
          throw new TugError(
            "data-loss",
            `layer ${chainId} is not what it was: its files give ${made.diffId}, not ${diffId}`,
          );
        }
        const blob: BlobInfo = await ingest.commit();
        const descriptor = layerDescriptor(blob, "gzip");
        layers.keepBlob(diffId, descriptor);
        return descriptor;
      } catch (error) {
        await ingest.abort();
        throw error;
      }
    });
  }

  /**
   * The blobs that an image's layers came as: what is built on it must keep them, as a layer that others made cannot be made again,
   * byte for byte, from its files.
   */
  async blobsOf(image: Image): Promise<readonly Digest[]> {
    const { content, layers } = this.#deps;
    if (image.manifest) {
      const manifest = parseManifest(await content.read(image.manifest.digest, manifestLimit));
      for (const [index, diffId] of image.layers.entries()) {
        const layer = manifest.layers[index];
        if (layer) layers.keepBlob(diffId, layer);
      }
    }
    return image.layers.flatMap((diffId) => {
      const blob = layers.blob(diffId);
      return blob && content.stat(blob.digest) ? [blob.digest] : [];
    });
  }
}
