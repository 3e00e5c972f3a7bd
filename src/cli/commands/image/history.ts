import { imageHistory } from "../../../client/images/history.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";
import { historySpec } from "../../format/history.ts";
import { renderList } from "../../format/list.ts";
import { platformParameter } from "../../format/platform.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE",
  args: exactly(1),
  flags: {
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    human: bool("H", "Show sizes and dates for people", { initial: true }),
    "no-trunc": bool("", "Do not shorten columns"),
    platform: text("", "Look at the image of this platform (os[/arch[/variant]])"),
    quiet: bool("q", "Show ids only"),
  },
  async run(context, { values, args: [name = ""] }) {
    const platform = platformParameter(values.platform, "invalid platform: ");
    const client = await context.client();
    const items = await imageHistory(client, name, platform);
    const spec = historySpec({ whole: values["no-trunc"], human: values.human, now: Date.now() });
    await context.out.write(await renderList(spec, items, { format: values.format, quiet: values.quiet }));
    return 0;
  },
});
