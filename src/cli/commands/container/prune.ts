import { pruneContainers } from "../../../client/containers/prune.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool } from "../../flags/flag.ts";
import { pruneReport, withPruneFilters } from "../../format/prune.ts";
import { confirm } from "../../io/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("", "Remove only what matches (until=<timestamp>, label=...)"),
    force: bool("f", "Do not ask"),
  },
  async run(context, { values }) {
    const warning = "WARNING! This will remove all stopped containers.";
    if (!values.force && !(await confirm(context, warning))) return 0;
    const client = await context.client();
    const pruned = await pruneContainers(client, await withPruneFilters(context, values.filter));
    await context.out.write(
      pruneReport("Deleted Containers", pruned.ContainersDeleted ?? [], pruned.SpaceReclaimed),
    );
    return 0;
  },
});
