import { inspectNetworkRaw } from "../../../client/networks/inspect.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";
import { formatFlag, printInspected } from "../../format/inspect.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  args: atLeast(1),
  flags: { format: formatFlag, verbose: bool("v", "Tell more, for finding faults") },
  async run(context, { values, args }) {
    const client = await context.client();
    return await printInspected(context, args, values.format, (name) =>
      inspectNetworkRaw(client, name, values.verbose),
    );
  },
});
