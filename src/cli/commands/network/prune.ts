import { pruneNetworks } from "../../../client/networks/prune.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool } from "../../flags/flag.ts";
import { withPruneFilters } from "../../format/prune.ts";
import { confirm } from "../../io/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("", "Remove only what matches (until=<timestamp>)"),
    force: bool("f", "Do not ask"),
  },
  async run(context, { values }) {
    const warning = "WARNING! This will remove all custom networks not used by at least one container.";
    if (!values.force && !(await confirm(context, warning))) return 0;
    const client = await context.client();
    const { NetworksDeleted } = await pruneNetworks(client, await withPruneFilters(context, values.filter));
    const names = NetworksDeleted ?? [];
    if (names.length > 0) await context.out.write(`Deleted Networks:\n${names.join("\n")}\n\n`);
    return 0;
  },
});
