import { inspectVolumeRaw } from "../../../client/volumes/inspect.ts";
import { atLeast, defineCommand } from "../../command.ts";

import { formatFlag, printInspected } from "../../format/inspect.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  args: atLeast(1),
  flags: { format: formatFlag },
  async run(context, { values, args }) {
    const client = await context.client();
    const find = (name: string) => inspectVolumeRaw(client, name);
    return await printInspected(context, args, values.format, find, {
      name: "volume.Volume",
      absent: { ClusterVolume: null, CreatedAt: "", Status: {}, UsageData: null },
    });
  },
});
