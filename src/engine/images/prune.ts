import { isCode } from "../../base/lib/errors.ts";
import type { ImageDeleteResponseItem } from "../../base/spec/docker/api.gen.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Image } from "../../core/image/image.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { createdNanos } from "./list.ts";
import { referencesOf } from "./names.ts";
import { removeImage } from "./remove.ts";

/** Images no container uses: those without a name, or with dangling=false all of them. */
export async function pruneImages(
  deps: ImageServiceDeps,
  wire: WireFilters,
): Promise<{
  readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null;
  readonly SpaceReclaimed: number;
}> {
  const filters = Filters.parse(wire, ["dangling", "label", "label!", "until"]);
  const danglingOnly = filters.bool("dangling", true);
  const until = filters.timestamp("until", deps.clock.now());
  const deleted: ImageDeleteResponseItem[] = [];
  let reclaimed = 0;
  // What others are made from goes after them, in whichever order they are listed.
  for (let before = -1; before !== deleted.length; ) {
    before = deleted.length;
    for (const image of deps.images.list()) {
      if (!wanted(image, filters, until) || usersOf(deps, image) > 0) continue;
      if (danglingOnly && referencesOf(image).length > 0) continue;
      if (deps.images.list().some((other) => other.parent === image.id)) continue;
      const sizes = new Map<string, number>(
        [image, ...image.siblings.flatMap((id) => deps.images.get(id) ?? [])]
          .flatMap((one) => chainIds(one.layers))
          .map((chain) => [chain, deps.layerSize(chain)]),
      );
      const records = await removeAll(deps, image);
      for (const record of records) reclaimed += sizes.get(record.Deleted ?? "") ?? 0;
      deleted.push(...records);
    }
  }
  // Without conditions, what has come of downloads that failed or were given up goes, too.
  if (Object.keys(wire).every((name) => name === "dangling")) {
    await deps.collect();
    reclaimed += (await deps.dropPartials?.()) ?? 0;
  }
  await deps.received.release();
  // Packages kept from bootstraps serve no image: "all" and nothing narrower means them, too.
  if (!danglingOnly && Object.keys(wire).every((key) => key === "dangling"))
    reclaimed += await deps.bootstrap.prune();
  deps.events.publish({
    type: "image",
    action: "prune",
    id: "",
    attributes: { reclaimed: String(reclaimed) },
  });
  return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
}

/** Containers of any of its platforms. */
function usersOf(deps: ImageServiceDeps, image: Image): number {
  return [image.id, ...image.siblings].flatMap((id) => deps.users.usersOf(id)).length;
}

function wanted(image: Image, filters: Filters, until: bigint | undefined): boolean {
  const labels = image.config.config?.Labels ?? {};
  return (
    filters.matchLabels("label", labels) &&
    filters.excludesLabels("label!", labels) &&
    (until === undefined || createdNanos(image) <= until)
  );
}

/** Removes name after name, so that none of several keeps the image. What came into use meanwhile stays. */
async function removeAll(deps: ImageServiceDeps, image: Image): Promise<readonly ImageDeleteResponseItem[]> {
  const records: ImageDeleteResponseItem[] = [];
  const names = [...image.tags, ...image.digests];
  try {
    for (const name of names.length === 0 ? [image.id] : names) {
      const now = deps.images.get(image.id);
      if (!now || (names.length > 0 && !referencesOf(now).includes(name))) continue;
      records.push(...(await removeImage(deps, name, { force: false, noPrune: false })));
    }
  } catch (error) {
    if (!isCode(error, "conflict") && !isCode(error, "not-found")) throw error;
  }
  return records;
}
