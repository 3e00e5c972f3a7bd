import { killContainer } from "../../../client/containers/kill.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: { signal: text("s", "Signal to send") },
  async run(context, { values, args }) {
    const client = await context.client();
    return await eachOperand(context, args, (name) => killContainer(client, name, values.signal));
  },
});
