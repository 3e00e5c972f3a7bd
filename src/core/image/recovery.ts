import { codeOf, messageOf } from "../../base/lib/errors.ts";
import type { ChainId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { ContentStore } from "../content/content.ts";
import type { Snapshotter } from "../snapshot/snapshotter.ts";
import type { Image } from "./image.ts";
import type { SqliteImageStore } from "./store.ts";
import type { ProcessUnpacker } from "./unpack/unpacker.ts";

export interface RecoverDeps {
  readonly images: SqliteImageStore;
  readonly unpacker: ProcessUnpacker;
  readonly snapshots: Snapshotter;
  readonly content: ContentStore;
  readonly log: Log;
}

/**
 * Makes images, layers and blobs agree after a start: half-unpacked layers go; an image whose layers are gone (the storage
 * driver was changed, a disk lost them) gets them back from its blobs, or loses its record; what nothing reaches goes.
 */
export async function recoverImages(deps: RecoverDeps): Promise<void> {
  await deps.unpacker.recover();
  for (const image of deps.images.all()) {
    try {
      await restoreLayers(deps, image);
    } catch (error) {
      if (codeOf(error) === "resource-exhausted") throw error;
      deps.log.error("an image is lost: its layers are gone and its blobs cannot give them back", {
        image: image.id,
        tags: image.tags,
        error: messageOf(error),
      });
      deps.images.forget(image.id);
    }
  }
  await deps.images.collect();
}

async function restoreLayers(deps: RecoverDeps, image: Image): Promise<void> {
  deps.content.path(image.id as string as Parameters<ContentStore["path"]>[0]);
  if (image.chainId === undefined || deps.snapshots.stat(image.chainId)) return;
  deps.log.warn("unpacking the layers of an image again", { image: image.id });
  if (!image.manifest) throw new Error("it has no manifest");
  const manifest = parseManifest(await deps.content.read(image.manifest.digest, manifestLimit));
  let parent: ChainId | undefined;
  for (const [index, diffId] of image.layers.entries()) {
    const descriptor = manifest.layers[index];
    if (!descriptor) throw new Error(`its manifest has no layer ${index}`);
    parent = await deps.unpacker.unpack({ descriptor, diffId }, parent, {});
  }
}
