import { saveImages } from "../../../client/images/save.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { platformParameter } from "../../format/platform.ts";
import { writeBody } from "../../io/archive.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: atLeast(1),
  flags: {
    output: text("o", "Write to a file instead of standard output"),
    platform: text("", "Save only this platform's image (os[/arch[/variant]])"),
  },
  async run(context, { values, args }) {
    const client = await context.client();
    const platform = platformParameter(values.platform, "invalid platform: ");
    await writeBody(
      context,
      values.output,
      "save",
      async () => (await saveImages(client, args, { platform })).body,
    );
    return 0;
  },
});
