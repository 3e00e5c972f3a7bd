import { createCheckpoint } from "../../../client/checkpoints/create.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, text } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER CHECKPOINT",
  args: exactly(2),
  flags: {
    "checkpoint-dir": text("", "Folder to keep it in, when not the default"),
    "leave-running": bool("", "Let the container go on afterwards"),
  },
  async run(context, { values, args: [container = "", name = ""] }) {
    const client = await context.client();
    const directory = values["checkpoint-dir"];
    await createCheckpoint(client, container, { name, directory, exit: !values["leave-running"] });
    await context.out.write(`${name}\n`);
    return 0;
  },
});
