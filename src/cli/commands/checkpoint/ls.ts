import { listCheckpoints } from "../../../client/checkpoints/list.ts";
import { defineCommand, exactly } from "../../command.ts";
import { text } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags: { "checkpoint-dir": text("", "Folder they are kept in, when not the default") },
  async run(context, { values, args: [container = ""] }) {
    const client = await context.client();
    const checkpoints = await listCheckpoints(client, container, values["checkpoint-dir"]);
    await context.out.write(["CHECKPOINT NAME", ...checkpoints.map(({ Name }) => Name), ""].join("\n"));
    return 0;
  },
});
