import { daemonEventLines } from "../../../client/system/events.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { text } from "../../flags/flag.ts";
import { eventFormat } from "../../format/events.ts";
import { parseTimestamp } from "../../format/timestamp.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("f", "Show only what matches a condition"),
    format: text("", "How to print: 'json' or a Go template"),
    since: text("", "Show what happened since a time or in the last span"),
    until: text("", "Stop at a time"),
  },
  async run(context, { values }) {
    const format = await eventFormat(values.format);
    const now = Date.now();
    const lines = await daemonEventLines(await context.client(), {
      since: values.since && parseTimestamp(values.since, now),
      until: values.until && parseTimestamp(values.until, now),
      filters: values.filter,
    });
    for await (const line of lines) await context.out.write(format(line));
    return 0;
  },
});
