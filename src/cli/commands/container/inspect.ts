import { inspectContainerRaw } from "../../../client/containers/inspect.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";
import { formatFlag, printInspected } from "../../format/inspect.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: { format: formatFlag, size: bool("s", "Add the sizes on disk") },
  async run(context, { values, args }) {
    const client = await context.client();
    return await printInspected(context, args, values.format, (name) =>
      inspectContainerRaw(client, name, values.size),
    );
  },
});
