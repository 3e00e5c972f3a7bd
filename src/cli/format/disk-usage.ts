import { humanDuration } from "../../base/lib/human-duration.ts";
import { shortId } from "../../base/lib/ids.ts";
import type { BuildCache, ContainerSummary } from "../../base/spec/docker/api.gen.ts";
import type { DiskUsage } from "../../client/system/disk-usage.ts";
import { containerFields } from "./containers.ts";
import { type ImageRow, imageRows, imageSpec } from "./images.ts";
import { exposed, type ListSpec, renderList } from "./list.ts";
import { humanSize } from "./units.ts";
import { volumeSpec } from "./volumes.ts";

/** One line of `system df`. */
export interface UsageRow {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly size: number;
  readonly reclaimable: number;
  /** Containers and volumes have no share to show when nothing is used. */
  readonly percent: boolean;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** The four kinds of objects, counted and summed as Docker does. */
function usageRows(usage: DiskUsage): UsageRow[] {
  const images = usage.Images ?? [];
  const containers = usage.Containers ?? [];
  const volumes = usage.Volumes ?? [];
  const caches = usage.BuildCache ?? [];
  const usedImages = images.filter((image) => (image.Containers ?? 0) > 0);
  const layers = usage.LayersSize ?? 0;
  const sharedOf = (shared: number | undefined) => (shared === undefined || shared < 0 ? 0 : shared);
  const used = sum(
    usedImages.map((image) =>
      image.Size === -1 || image.SharedSize === -1 ? 0 : (image.Size ?? 0) - sharedOf(image.SharedSize),
    ),
  );
  const live = containers.filter((container) => /^(running|paused|restarting)$/.test(container.State ?? ""));
  const idle = containers.filter((container) => !live.includes(container));
  const usedVolumes = volumes.filter((volume) => (volume.UsageData?.RefCount ?? 0) > 0);
  const sizeOf = (volume: (typeof volumes)[number]) => Math.max(0, volume.UsageData?.Size ?? 0);
  const ownCaches = caches.filter((cache) => !cache.Shared);
  return [
    {
      type: "Images",
      total: images.length,
      active: usedImages.length,
      size: layers,
      reclaimable: usage.ImageUsage?.Reclaimable ?? Math.max(0, layers - used),
      percent: layers > 0,
    },
    {
      type: "Containers",
      total: containers.length,
      active: live.length,
      size: sum(containers.map((container) => container.SizeRw ?? 0)),
      reclaimable: sum(idle.map((container) => container.SizeRw ?? 0)),
      percent: sum(containers.map((container) => container.SizeRw ?? 0)) > 0,
    },
    {
      type: "Local Volumes",
      total: volumes.length,
      active: usedVolumes.length,
      size: sum(volumes.map(sizeOf)),
      reclaimable: sum(volumes.filter((volume) => !usedVolumes.includes(volume)).map(sizeOf)),
      percent: sum(volumes.map(sizeOf)) > 0,
    },
    {
      type: "Build Cache",
      total: caches.length,
      active: caches.filter((cache) => cache.InUse).length,
      size: sum(ownCaches.map((cache) => cache.Size ?? 0)),
      reclaimable: sum(ownCaches.filter((cache) => !cache.InUse).map((cache) => cache.Size ?? 0)),
      percent: false,
    },
  ];
}

const rowSpec: ListSpec<UsageRow> = {
  typeName: "*formatter.diskUsageImagesContext",
  quiet: "Type",
  columns: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
  fields: {
    Type: { header: "TYPE", value: (row) => row.type },
    TotalCount: { header: "TOTAL", value: (row) => String(row.total) },
    Active: { header: "ACTIVE", value: (row) => String(row.active) },
    Size: { header: "SIZE", value: (row) => humanSize(row.size) },
    Reclaimable: { header: "RECLAIMABLE", value: reclaimable },
  },
};

function reclaimable(row: UsageRow): string {
  const text = humanSize(row.reclaimable);
  return row.percent ? `${text} (${Math.trunc((row.reclaimable * 100) / row.size)}%)` : text;
}

export async function renderUsage(usage: DiskUsage, format: string): Promise<string> {
  return await renderList(rowSpec, usageRows(usage), { format });
}

/** `system df -v`: each kind with its objects, or a format over all of them, which gets no newline of its own. */
export async function verboseUsage(usage: DiskUsage, format: string, now: number): Promise<string> {
  if (format !== "" && format !== "table") return await formattedUsage(usage, format, now);
  const { images, containers, volumes, caches } = specs(now, false);
  const kept = usage.BuildCache ?? [];
  const cacheSize = humanSize(sum(kept.filter((cache) => !cache.Shared).map((cache) => cache.Size ?? 0)));
  return [
    `Images space usage:\n\n${await renderList(images, firstNames(usage), { format: "" })}`,
    `Containers space usage:\n\n${await renderList(containers, usage.Containers ?? [], { format: "" })}`,
    `Local Volumes space usage:\n\n${await renderList(volumes, usage.Volumes ?? [], { format: "" })}`,
    `Build cache usage: ${cacheSize}\n\n${await renderList(caches, kept, { format: "" })}`,
  ].join("\n");
}

/** Here an image has one row, under its first name. */
function firstNames(usage: DiskUsage): ImageRow[] {
  return (usage.Images ?? []).map((image): ImageRow => {
    const row = imageRows(
      [{ ...image, RepoTags: (image.RepoTags ?? []).slice(0, 1), RepoDigests: [] }],
      false,
    )[0];
    return { repository: "<none>", tag: "<none>", ...row, image, digest: "" };
  });
}

function specs(now: number, whole: boolean) {
  const containers = containerFields({ whole, now, size: true });
  return {
    images: {
      ...imageSpec({ whole, digests: false, now }),
      columns: ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
    },
    containers: {
      ...containers,
      columns: ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
      fields: {
        ...containers.fields,
        Size: { header: "SIZE", value: (c: ContainerSummary) => humanSize(c.SizeRw ?? 0, 3) },
      },
    },
    volumes: { ...volumeSpec, columns: ["Name", "Links", "Size"] },
    caches: cacheSpec(now),
  };
}

async function formattedUsage(usage: DiskUsage, format: string, now: number): Promise<string> {
  const { images, containers, volumes, caches } = specs(now, true);
  const { renderObject } = await import("./object.ts");
  const all = {
    Images: firstNames(usage).map((row) => exposed(images, row)),
    Containers: (usage.Containers ?? []).map((container) => exposed(containers, container)),
    Volumes: (usage.Volumes ?? []).map((volume) => exposed(volumes, volume)),
    BuildCache: (usage.BuildCache ?? []).map((cache) => exposed(caches, cache)),
  };
  // As every list's format; a single object's keeps its backslashes.
  const source = format.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  return renderObject(all, source, {
    missing: "struct",
    typeName: "*formatter.diskUsageContext",
  }).replace(/\n$/, "");
}

function cacheSpec(now: number): ListSpec<BuildCache> {
  const ago = (time: string | null | undefined) =>
    time ? `${humanDuration(now - new Date(time).getTime())} ago` : "";
  return {
    typeName: "*formatter.buildCacheContext",
    quiet: "ID",
    columns: ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"],
    fields: {
      ID: { header: "CACHE ID", value: (cache) => shortId(cache.ID ?? "") + (cache.InUse ? "*" : "") },
      CacheType: { header: "CACHE TYPE", value: (cache) => cache.Type ?? "" },
      Size: { header: "SIZE", value: (cache) => humanSize(cache.Size ?? 0, 3) },
      CreatedSince: { header: "CREATED", value: (cache) => ago(cache.CreatedAt) },
      LastUsedSince: { header: "LAST USED", value: (cache) => ago(cache.LastUsedAt) },
      UsageCount: { header: "USAGE", value: (cache) => String(cache.UsageCount ?? 0) },
      Shared: { header: "SHARED", value: (cache) => String(cache.Shared ?? false) },
    },
  };
}
