import { listNetworks } from "../../../client/networks/list.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, text } from "../../flags/flag.ts";
import { renderList } from "../../format/list.ts";
import { naturalOrder } from "../../format/natural-order.ts";
import { networkSpec } from "../../format/networks.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("f", "Show only what matches a condition ('driver=bridge')"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    "no-trunc": bool("", "Do not shorten columns"),
    quiet: bool("q", "Show ids only"),
  },
  async run(context, { values }) {
    const client = await context.client();
    const networks = await listNetworks(client, values.filter);
    networks.sort((a, b) => naturalOrder(a.Name ?? "", b.Name ?? ""));
    const format =
      values.format || (values.quiet ? "" : ((await context.config()).data.networksFormat ?? ""));
    await context.out.write(
      await renderList(networkSpec(values["no-trunc"]), networks, { format, quiet: values.quiet }),
    );
    return 0;
  },
});
