import { inspectImageRaw } from "../../../client/images/inspect.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { formatFlag, printInspected } from "../../format/inspect.ts";
import { platformParameter } from "../../format/platform.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: atLeast(1),
  flags: {
    format: formatFlag,
    platform: text("", "Look at the image of this platform (os[/arch[/variant]])"),
  },
  async run(context, { values, args }) {
    const platform = platformParameter(values.platform);
    const client = await context.client();
    return await printInspected(context, args, values.format, (name) =>
      inspectImageRaw(client, name, platform),
    );
  },
});
