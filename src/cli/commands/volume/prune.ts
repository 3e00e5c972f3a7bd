import { invalid } from "../../../base/lib/errors.ts";
import { compareVersions } from "../../../client/version.ts";
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
    const client = await context.client();
    // Older daemons remove named volumes as well: the warning must say what will happen.
    const anonymousOnly = compareVersions(await client.negotiate(), "1.42") >= 0;
    if (values.all && !anonymousOnly) {
      throw invalid(
        `"--all" requires API version 1.42, but the Docker daemon API version is ${client.version}`,
      );
    }
    if (values.all && values.filter["all"] !== undefined) {
      throw invalid("conflicting options: cannot specify both --all and --filter all=1");
    }
    const kind = values.all
      ? "all local volumes"
      : anonymousOnly
        ? "anonymous local volumes"
        : "all local volumes";
    const warning = `WARNING! This will remove ${kind} not used by at least one container.`;
    if (!values.force && !(await confirm(context, warning))) return 0;
    const own = await withPruneFilters(context, values.filter);
    const pruned = await pruneVolumes(client, values.all ? { ...own, all: ["true"] } : own);
    await context.out.write(
      pruneReport("Deleted Volumes", pruned.VolumesDeleted ?? [], pruned.SpaceReclaimed),
    );
    return 0;
  },
});
