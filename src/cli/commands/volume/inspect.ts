import { inspectVolumeRaw } from "../../../client/volumes/inspect.ts";
import { atLeast, defineCommand } from "../../command.ts";

import { formatFlag, printInspected } from "../../format/inspect.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  args: atLeast(1),
  flags: { format: formatFlag },
  async run(context, { values, args }) {
    const client = await context.client();
    return await printInspected(context, args, values.format, (name) => inspectVolumeRaw(client, name));
  },
});
