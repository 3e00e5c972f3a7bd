import { invalid } from "../../base/lib/errors.ts";
import { parseRfc3339 } from "../../base/lib/timestamp.ts";
import type { ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import type { Image } from "../../core/image/image.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { wireDescriptor } from "./descriptor.ts";
import { imageIdentity, manifestSummaries } from "./manifests.ts";
import { globPattern, referenceMatches } from "./names.ts";

export interface ListOptions {
  readonly all: boolean;
  readonly filters: WireFilters;
  readonly sharedSize: boolean;
  readonly digests: boolean;
  readonly manifests: boolean;
  /** With `manifests`: where they came from. */
  readonly identity?: boolean;
}

/** Images, newest first. Without `all`, those that only serve as parents of others are left out. */
export async function listImages(
  deps: ImageServiceDeps,
  options: ListOptions,
): Promise<readonly ImageSummary[]> {
  const filters = Filters.parse(options.filters, [
    "before",
    "dangling",
    "label",
    "label!",
    "reference",
    "since",
    "until",
  ]);
  const dangling = filters.has("dangling") ? filters.bool("dangling", false) : undefined;
  const until = filters.timestamp("until", deps.clock.now());
  const before = bound(deps, filters, "before", earlier);
  const since = bound(deps, filters, "since", later);
  const patterns = filters.get("reference").map((text) => {
    const pattern = globPattern(text);
    if (!pattern) throw invalid(`invalid filter 'reference=[${text}]': syntax error in pattern`);
    return pattern;
  });
  const all = deps.images.list();
  const parents = new Set(all.map((image) => image.parent));
  const shared = options.sharedSize ? sharedSizes(deps, all) : undefined;
  const summaries: ImageSummary[] = [];
  for (const image of newestFirst(all)) {
    const created = createdNanos(image);
    if (before !== undefined && created >= before) continue;
    if (since !== undefined && created <= since) continue;
    if (until !== undefined && created > until) continue;
    const labels = image.config.config?.Labels ?? {};
    if (!filters.matchLabels("label", labels) || !filters.excludesLabels("label!", labels)) continue;
    let { tags, digests } = image;
    if (patterns.length > 0) {
      const matches = (name: string) => patterns.some((pattern) => referenceMatches(pattern, name));
      tags = tags.filter(matches);
      digests = digests.filter(matches);
      if (tags.length + digests.length === 0) continue;
    }
    const named = tags.length + digests.length > 0;
    if (!named && parents.has(image.id) && (!options.all || dangling === true)) continue;
    if (dangling !== undefined && dangling === named) continue;
    const found = deps.images.find(image.id);
    const { target } = found;
    const family = [image, ...image.siblings.flatMap((id) => deps.images.get(id) ?? [])];
    const users = family.flatMap((one) => deps.users.usersOf(one.id));
    summaries.push({
      Containers: options.sharedSize ? users.length : -1,
      Created: Number(created / 1_000_000_000n),
      Id: image.id,
      Labels: Object.keys(labels).length > 0 ? { ...labels } : (null as never),
      ParentId: image.parent ?? "",
      RepoDigests: [...digests],
      RepoTags: [...tags],
      SharedSize: shared?.get(image.id) ?? -1,
      Size: family.length > 1 ? sizeOf(deps, family) : image.size,
      ...(target ? { Descriptor: wireDescriptor(target) } : {}),
      ...(options.manifests
        ? {
            Manifests: await manifestSummaries(
              deps,
              found,
              options.identity ? imageIdentity(family) : undefined,
            ),
          }
        : {}),
    });
  }
  return summaries;
}

/** By nanoseconds, finer than what is listed: images of one second keep their order too. */
function newestFirst(images: readonly Image[]): readonly Image[] {
  const times = new Map(images.map((image) => [image.id, createdNanos(image)]));
  return images.toSorted((a, b) => {
    const [one = 0n, other = 0n] = [times.get(a.id), times.get(b.id)];
    if (one === other) return 0;
    return one < other ? 1 : -1;
  });
}

/** Nanoseconds since the epoch; 0 for an image that does not say. */
export function createdNanos(image: Image): bigint {
  return parseRfc3339(image.config.created ?? "") ?? 0n;
}

const earlier = (a: bigint, b: bigint): bigint => {
  if (a < b) return a;
  return b;
};
const later = (a: bigint, b: bigint): bigint => {
  if (a > b) return a;
  return b;
};

function bound(
  deps: ImageServiceDeps,
  filters: Filters,
  name: string,
  choose: (a: bigint, b: bigint) => bigint,
): bigint | undefined {
  return filters
    .get(name)
    .map((reference) => createdNanos(deps.images.resolve(reference)))
    .reduce<bigint | undefined>((sum, time) => (sum === undefined ? time : choose(sum, time)), undefined);
}

/** Bytes of the layers of all an image's platforms, each once. */
function sizeOf(deps: ImageServiceDeps, family: readonly Image[]): number {
  const chain = new Set(family.flatMap((image) => chainIds(image.layers)));
  return [...chain].reduce((sum, layer) => sum + deps.layerSize(layer), 0);
}

/** For each image, bytes of its layers that other images have too. */
function sharedSizes(deps: ImageServiceDeps, images: readonly Image[]): ReadonlyMap<string, number> {
  const holders = new Map<string, number>();
  for (const image of images) {
    for (const chain of chainIds(image.layers)) holders.set(chain, (holders.get(chain) ?? 0) + 1);
  }
  const shared = (image: Image) =>
    chainIds(image.layers)
      .filter((chain) => (holders.get(chain) ?? 0) > 1)
      .reduce((sum, chain) => sum + deps.layerSize(chain), 0);
  return new Map(images.map((image) => [image.id, shared(image)]));
}
