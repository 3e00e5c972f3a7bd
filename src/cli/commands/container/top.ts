import { topContainer } from "../../../client/containers/top.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { alignColumns } from "../../format/tabwriter.ts";

export const command = defineCommand({
  usage: "CONTAINER [ps OPTIONS]",
  args: atLeast(1),
  flags: {},
  interspersed: false,
  async run(context, { args: [name = "", ...psArgs] }) {
    const client = await context.client();
    const { Titles, Processes } = await topContainer(client, name, psArgs.join(" "));
    const rows = [Titles ?? [], ...(Processes ?? [])].map((cells) => cells.join("\t"));
    await context.out.write(`${alignColumns(rows.join("\n"), 20)}\n`);
    return 0;
  },
});
