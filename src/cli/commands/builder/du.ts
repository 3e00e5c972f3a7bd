import { invalid } from "../../../base/lib/errors.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, text } from "../../flags/flag.ts";
import { renderList } from "../../format/list.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    builder: text("", "Builder to ask: there is one, the daemon's"),
    filter: filter("", "Show only what matches (id=..., type=..., description~=..., until=24h)"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    verbose: bool("", "Show everything about each entry"),
  },
  async run(context, { values }) {
    if (values.verbose && values.format !== "")
      throw invalid("--format and --verbose cannot be used together");
    const { usageFilter, usageSpec, usageSummary, verboseRecord } = await import("../../build/usage.ts");
    const { BuilderClient } = await import("../../../client/build/builder.ts");
    const { filter: filters, keepDuration } = usageFilter(values.filter);
    await using builder = await BuilderClient.open(await context.client());
    const records = await builder.diskUsage({ filter: filters, ageLimit: keepDuration });
    const now = Date.now();
    const isTable = values.format === "" || values.format.startsWith("table");
    if (values.verbose) for (const record of records) await context.out.write(verboseRecord(record, now));
    else
      await context.out.write(await renderList(usageSpec(now, isTable), records, { format: values.format }));
    const whole = values.format === "" || values.format === "table";
    if (whole && Object.keys(values.filter).length === 0) await context.out.write(usageSummary(records));
    return 0;
  },
});
