import { diskUsage } from "../../../client/system/disk-usage.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { renderUsage, verboseUsage } from "../../format/disk-usage.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    verbose: bool("v", "Show every object"),
  },
  async run(context, { values }) {
    const client = await context.client();
    const usage = await diskUsage(client);
    const now = Date.now();
    if (values.verbose) await context.out.write(await verboseUsage(usage, values.format, now));
    else await context.out.write(await renderUsage(usage, values.format));
    return 0;
  },
});
