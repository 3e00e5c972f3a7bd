import type { UsageRecord } from "../../../base/spec/buildkit/control.gen.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, custom, type Flag, text } from "../../flags/flag.ts";
import { renderList } from "../../format/list.ts";
import { withPruneFilters } from "../../format/prune.ts";
import { humanSize } from "../../format/units.ts";
import { confirm } from "../../io/confirm.ts";
import { parseMemory } from "../../run/values/limits.ts";

const bytes = (help: string): Flag<number> => custom("bytes", "", help, 0, (value) => parseMemory(value));

export const command = defineCommand({
  usage: "",
  args: noArgs,
  flags: {
    all: bool("a", "Remove what images still use, too"),
    builder: text("", "Builder to ask: there is one, the daemon's"),
    filter: filter("", "Remove only what matches (until=24h, id=..., type=..., description~=...)"),
    force: bool("f", "Do not ask"),
    "keep-storage": bytes("Space that is kept for the cache: --reserved-space"),
    "max-used-space": bytes("Most space that the cache may take"),
    "min-free-space": bytes("Space that should be free on the disk afterwards"),
    "reserved-space": bytes("Space that is kept for the cache"),
    verbose: bool("", "Show everything about each entry"),
  },
  async run(context, { values }) {
    const { usageFilter, usageSpec, verboseRecord } = await import("../../build/usage.ts");
    const bounds = usageFilter(await withPruneFilters(context, values.filter));
    const what = values.all ? "all build cache" : "all dangling build cache";
    if (!values.force && !(await confirm(context, `WARNING! This will remove ${what}.`))) return 0;
    const { BuilderClient } = await import("../../../client/build/builder.ts");
    await using builder = await BuilderClient.open(await context.client());
    const removed: UsageRecord[] = [];
    const now = Date.now();
    const pruning = builder.prune({
      ...bounds,
      all: values.all,
      reservedSpace: BigInt(values["reserved-space"] || values["keep-storage"]),
      maxUsedSpace: BigInt(values["max-used-space"]),
      minFreeSpace: BigInt(values["min-free-space"]),
    });
    for await (const record of pruning) {
      removed.push(record);
      if (values.verbose) await context.out.write(verboseRecord(record, now));
    }
    if (!values.verbose && removed.length > 0)
      await context.out.write(await renderList(usageSpec(now, true), removed, { format: "" }));
    const total = removed.reduce((sum, { size }) => sum + Number(size), 0);
    await context.out.write(`Total:\t${humanSize(total)}\n`);
    return 0;
  },
});
