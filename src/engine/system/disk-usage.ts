import type {
  BuildCacheDiskUsage,
  ContainersDiskUsage,
  ImagesDiskUsage,
  VolumesDiskUsage,
} from "../../base/spec/docker/api.gen.ts";
import { chainIds } from "../../base/spec/oci/chain.ts";
import { manifestLimit, parseManifest } from "../../base/spec/oci/parse.ts";
import type { Image } from "../../core/image/image.ts";
import { attestationSubject, completeManifest } from "../../core/image/index-tree.ts";
import type { CountedFiles } from "../../core/snapshot/snapshotter.ts";
import { listImages } from "../images/list.ts";
import { wireVolume } from "../volumes/service.ts";
import type { SystemServiceDeps } from "./deps.ts";

/** GET /system/df of API 1.52 and later; older shapes are made of it by the API. */
export interface DiskUsage {
  ImageUsage?: ImagesDiskUsage;
  ContainerUsage?: ContainersDiskUsage;
  VolumeUsage?: VolumesDiskUsage;
  BuildCacheUsage?: BuildCacheDiskUsage;
}

export async function diskUsage(
  deps: SystemServiceDeps,
  types: readonly string[],
  options: { readonly verbose: boolean },
): Promise<DiskUsage> {
  const wants = (type: string) => types.length === 0 || types.includes(type);
  const usage: DiskUsage = {};
  if (wants("image")) usage.ImageUsage = await images(deps);
  if (wants("container")) usage.ContainerUsage = await containers(deps);
  if (wants("volume")) usage.VolumeUsage = await volumes(deps);
  if (wants("build-cache")) usage.BuildCacheUsage = await buildCache(deps);
  if (!options.verbose) for (const part of Object.values(usage)) delete part.Items;
  return usage;
}

/**
 * What images take on disk: unpacked layers and the blobs they came in, each once, however many images share it. Reclaimable is what no used
 * image needs.
 */
async function images(deps: SystemServiceDeps): Promise<ImagesDiskUsage> {
  const all = deps.images.all();
  const isUsed = (id: (typeof all)[number]["id"]) => deps.imageDeps.users.usersOf(id).length > 0;
  const layers = new Map<string, { readonly bytes: number; used: boolean }>();
  // Layers that builds made may share files with one another: these count with what is in use.
  const files: CountedFiles = new Set();
  for (const image of all.toSorted((a, b) => Number(isUsed(b.id)) - Number(isUsed(a.id)))) {
    const used = isUsed(image.id);
    for (const chain of chainIds(image.layers)) {
      const known = layers.get(chain);
      if (known) known.used ||= used;
      else if (deps.snapshots.stat(chain)) {
        layers.set(chain, { bytes: (await deps.snapshots.usage(chain, files)).bytes, used });
      }
    }
  }
  const ofBuilds = deps.buildCache?.snapshots();
  // Of an image that was removed while containers are made from it, the layers stay with them.
  for (const { name, kind } of [...deps.snapshots.list()]) {
    if (kind !== "committed" || layers.has(name) || ofBuilds?.has(name)) continue;
    if (!deps.snapshots.stat(name)) continue;
    layers.set(name, { bytes: (await deps.snapshots.usage(name, files)).bytes, used: true });
  }
  let total = 0;
  let reclaimable = 0;
  for (const layer of layers.values()) {
    total += layer.bytes;
    if (!layer.used) reclaimable += layer.bytes;
  }
  const kept = await blobsOf(
    deps,
    all.filter((image) => isUsed(image.id)),
  );
  // Downloads that did not come to their end wait for the next attempt, or for `image prune`.
  const partial = deps.imageDeps.content.partialSize();
  total += partial;
  reclaimable += partial;
  for (const blob of deps.imageDeps.content.list()) {
    total += blob.size;
    if (!kept.has(blob.digest)) reclaimable += blob.size;
  }
  const packages = deps.imageDeps.bootstrap.cacheSize();
  total += packages;
  reclaimable += packages;
  const items = await listImages(deps.imageDeps, {
    all: false,
    filters: {},
    sharedSize: true,
    digests: true,
    manifests: false,
  });
  // An image of several platforms is one, and in use when one of them is.
  const shown = deps.images.list();
  const active = shown.filter((image) => [image.id, ...image.siblings].some(isUsed));
  return {
    ActiveCount: active.length,
    TotalCount: shown.length,
    Reclaimable: reclaimable,
    TotalSize: total,
    Items: [...items],
  };
}

/** Configs, manifests and layer blobs of these images, and of their indexes what belongs to them. */
async function blobsOf(deps: SystemServiceDeps, images: readonly Image[]): Promise<ReadonlySet<string>> {
  const { content } = deps.imageDeps;
  const blobs = new Set<string>();
  for (const { id, manifest, index } of images) {
    blobs.add(id);
    if (index !== undefined) {
      blobs.add(index);
      const entries = deps.images.find(index).index?.manifests ?? [];
      for (const entry of entries.filter((each) => attestationSubject(each) === manifest?.digest)) {
        for (const part of (await completeManifest(content, entry)) ?? []) blobs.add(part.digest);
      }
    }
    if (!manifest || !content.stat(manifest.digest)) continue;
    blobs.add(manifest.digest);
    const { layers } = parseManifest(await content.read(manifest.digest, manifestLimit));
    for (const layer of layers) blobs.add(layer.digest);
  }
  return blobs;
}

async function containers(deps: SystemServiceDeps): Promise<ContainersDiskUsage> {
  const items = await deps.containers.withSizes();
  const active = items.filter((one) => ["running", "paused", "restarting"].includes(one.State ?? ""));
  const sum = (list: typeof items) => list.reduce((bytes, one) => bytes + (one.SizeRw ?? 0), 0);
  return {
    ActiveCount: active.length,
    TotalCount: items.length,
    Reclaimable: sum(items) - sum(active),
    TotalSize: sum(items),
    Items: [...items],
  };
}

async function volumes(deps: SystemServiceDeps): Promise<VolumesDiskUsage> {
  const items = [];
  let total = 0;
  let reclaimable = 0;
  let active = 0;
  const all = deps.volumes.list();
  const sizes = await measure(all.map((volume) => () => deps.volumes.usage(volume.name)));
  for (const [index, volume] of all.entries()) {
    const size = sizes[index] ?? -1;
    const references = deps.volumes.references(volume.name).length;
    total += Math.max(size, 0);
    if (references > 0) active++;
    else reclaimable += Math.max(size, 0);
    items.push({ ...wireVolume(volume), UsageData: { Size: size, RefCount: references } });
  }
  return {
    ActiveCount: active,
    TotalCount: items.length,
    Reclaimable: reclaimable,
    TotalSize: total,
    Items: items,
  };
}

/** Runs the measurements a few at a time: each is a process of its own. */
async function measure(jobs: readonly (() => Promise<number>)[]): Promise<readonly number[]> {
  const results: number[] = [];
  for (let at = 0; at < jobs.length; at += 4) {
    results.push(...(await Promise.all(jobs.slice(at, at + 4).map((job) => job()))));
  }
  return results;
}

async function buildCache(deps: SystemServiceDeps): Promise<BuildCacheDiskUsage> {
  const usage = await deps.buildCache?.usage();
  return {
    ActiveCount: usage?.active ?? 0,
    TotalCount: usage?.total ?? 0,
    Reclaimable: usage?.reclaimable ?? 0,
    TotalSize: usage?.size ?? 0,
    Items: [...(usage?.items ?? [])],
  };
}
