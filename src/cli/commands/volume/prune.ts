import { pruneVolumes } from "../../../client/volumes/prune.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool } from "../../flags/flag.ts";
import { pruneReport, withPruneFilters } from "../../format/prune.ts";
import { confirm } from "../../io/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    all: bool("a", "Remove every unused volume, named or anonymous"),
    filter: filter("", "Remove only what matches (label=...)"),
    force: bool("f", "Do not ask"),
  },
  async run(context, { values }) {
    const kind = values.all ? "all volumes" : "anonymous local volumes";
    if (
      !values.force &&
      !(await confirm(context, `WARNING! This will remove ${kind} not used by at least one container.`))
    )
      return 0;
    const client = await context.client();
    const own = await withPruneFilters(context, values.filter);
    const pruned = await pruneVolumes(client, values.all ? { ...own, all: ["true"] } : own);
    await context.out.write(
      pruneReport("Deleted Volumes", pruned.VolumesDeleted ?? [], pruned.SpaceReclaimed),
    );
    return 0;
  },
});
