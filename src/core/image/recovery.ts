import { codeOf, messageOf, TugError } from "../../base/lib/errors.ts";
import type { ChainId, Digest } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { digestOf } from "../../base/spec/oci/digest.ts";
import { mediaTypes } from "../../base/spec/oci/media-types.ts";
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
 * driver was changed, a disk lost them) gets them back from its blobs, or loses its record if no repository is known to have them; what
 * nothing reaches goes.
 */
export async function recoverImages(deps: RecoverDeps): Promise<void> {
  await deps.unpacker.recover();
  for (const image of deps.images.all()) {
    try {
      await restoreLayers(deps, image);
    } catch (error) {
      if (codeOf(error) === "resource-exhausted") throw error;
      if (image.digests.length > 0) {
        // A repository has it: the check that follows an unclean stop, `system check --repair` or a pull bring it back.
        deps.log.warn("layers of an image are missing", { image: image.id, error: messageOf(error) });
        continue;
      }
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

/** The record has the config's text, byte for byte. */
export async function restoreConfig(
  deps: Pick<RecoverDeps, "images" | "content">,
  image: Image,
): Promise<void> {
  if (deps.content.stat(image.id as string as Digest)) return;
  const bytes = Buffer.from(deps.images.configText(image.id));
  if (digestOf(bytes) !== (image.id as string))
    throw new TugError("data-loss", `the config of image ${image.id} is damaged in its record, too`);
  await deps.content.put(bytes, mediaTypes.ociConfig);
}

/** Unpacks what is missing of an image's layers from its blobs. */
export async function restoreLayers(
  deps: Pick<RecoverDeps, "images" | "content" | "snapshots" | "unpacker">,
  image: Image,
): Promise<void> {
  await restoreConfig(deps, image);
  // A layer keeps its record when the one below it is lost.
  if (chainIds(image.layers).every((name) => deps.snapshots.stat(name))) return;
  if (!image.manifest) throw new Error("it has no manifest");
  const manifest = parseManifest(await deps.content.read(image.manifest.digest, manifestLimit));
  let parent: ChainId | undefined;
  for (const [index, diffId] of image.layers.entries()) {
    const descriptor = manifest.layers[index];
    if (!descriptor) throw new Error(`its manifest has no layer ${index}`);
    parent = await deps.unpacker.unpack({ descriptor, diffId }, parent, {});
  }
}
