import { invalid, isCode } from "../../../base/lib/errors.ts";
import { pruneContainers } from "../../../client/containers/prune.ts";
import { pruneImages } from "../../../client/images/prune.ts";
import { pruneNetworks } from "../../../client/networks/prune.ts";
import { pruneBuildCache } from "../../../client/system/prune-build.ts";
import { pruneVolumes } from "../../../client/volumes/prune.ts";
import { defineCommand, noArgs } from "../../command.ts";
import type { Context } from "../../context.ts";
import { filter } from "../../flags/filter.ts";
import { bool } from "../../flags/flag.ts";
import { imagePruneFilters, prunedImageLines, withPruneFilters } from "../../format/prune.ts";
import { humanSize } from "../../format/units.ts";
import { confirm } from "../../io/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    all: bool("a", "Remove every unused image, named or not"),
    filter: filter("", "Remove only what matches (label=..., until=...)"),
    force: bool("f", "Do not ask"),
    volumes: bool("", "Remove anonymous volumes too"),
  },
  async run(context, { values }) {
    const filters = await withPruneFilters(context, values.filter);
    if (values.volumes && filters["until"] !== undefined) {
      throw invalid('ERROR: The "until" filter is not supported with "--volumes"');
    }
    if (
      !values.force &&
      !(await confirm(
        context,
        warning(values.all, values.volumes, Object.keys(filters).length > 0 ? filters : undefined),
      ))
    )
      return 0;
    const client = await context.client();
    let reclaimed = 0;
    const containers = await pruneContainers(client, filters);
    reclaimed += containers.SpaceReclaimed;
    await report(context, "Deleted Containers", containers.ContainersDeleted ?? []);
    const networks = await pruneNetworks(client, filters);
    await report(context, "Deleted Networks", networks.NetworksDeleted ?? []);
    if (values.volumes) {
      const volumes = await pruneVolumes(client, filters);
      reclaimed += volumes.SpaceReclaimed;
      await report(context, "Deleted Volumes", volumes.VolumesDeleted ?? []);
    }
    const images = await pruneImages(client, imagePruneFilters(filters, values.all));
    reclaimed += images.SpaceReclaimed;
    await report(context, "Deleted Images", prunedImageLines(images.ImagesDeleted ?? []));
    try {
      const cache = await pruneBuildCache(client, { all: values.all, filters });
      reclaimed += cache.SpaceReclaimed;
      await report(context, "Deleted build cache objects", cache.CachesDeleted ?? []);
    } catch (error) {
      if (!isCode(error, "not-found") && !isCode(error, "not-implemented")) throw error; // a daemon without a builder
    }
    await context.out.write(`Total reclaimed space: ${humanSize(reclaimed)}\n`);
    return 0;
  },
});

async function report(context: Context, title: string, items: readonly string[]): Promise<void> {
  if (items.length > 0) await context.out.write(`${title}:\n${items.join("\n")}\n\n`);
}

function warning(
  all: boolean,
  volumes: boolean,
  filters: Readonly<Record<string, readonly string[]>> | undefined,
): string {
  const lines = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  const conditions = Object.entries(filters ?? {})
    .flatMap(([key, values]) => values.map((value) => `  - ${key}=${value}`))
    .sort();
  const tail =
    conditions.length > 0 ? `\n  Items to be pruned will be filtered with:\n${conditions.join("\n")}\n` : "";
  return `WARNING! This will remove:\n${lines.map((line) => `  - ${line}`).join("\n")}\n${tail}`;
}
