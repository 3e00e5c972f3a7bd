import { pruneImages } from "../../../client/images/prune.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool } from "../../flags/flag.ts";
import { imagePruneFilters, prunedImageLines, pruneReport, withPruneFilters } from "../../format/prune.ts";
import { confirm } from "../../io/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    all: bool("a", "Remove every image that no container uses, named or not"),
    filter: filter("", "Remove only what matches (until=<timestamp>, label=...)"),
    force: bool("f", "Do not ask"),
  },
  async run(context, { values }) {
    const warning = values.all
      ? "WARNING! This will remove all images without at least one container associated to them."
      : "WARNING! This will remove all dangling images.";
    if (!values.force && !(await confirm(context, warning))) return 0;
    const client = await context.client();
    const filters = imagePruneFilters(await withPruneFilters(context, values.filter), values.all);
    const pruned = await pruneImages(client, filters);
    await context.out.write(
      pruneReport("Deleted Images", prunedImageLines(pruned.ImagesDeleted ?? []), pruned.SpaceReclaimed),
    );
    return 0;
  },
});
