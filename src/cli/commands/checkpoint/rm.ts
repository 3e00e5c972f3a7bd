import { removeCheckpoint } from "../../../client/checkpoints/remove.ts";
import { defineCommand, exactly } from "../../command.ts";
import { text } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER CHECKPOINT",
  args: exactly(2),
  flags: { "checkpoint-dir": text("", "Folder it is kept in, when not the default") },
  async run(context, { values, args: [container = "", name = ""] }) {
    const client = await context.client();
    await removeCheckpoint(client, container, name, values["checkpoint-dir"]);
    return 0;
  },
});
