import type { ImageInventory } from "../../base/spec/docker/extensions.ts";
import type { ImageServiceDeps } from "./deps.ts";

/** What is here of layers. Images keep their blobs, byte for byte: an unpacked layer alone would not do, so no chain is told. */
export function imageInventory({ content }: Pick<ImageServiceDeps, "content">): ImageInventory {
  return { Version: 1, Blobs: [...content.list()].map((blob) => blob.digest).sort(), Chains: [] };
}
