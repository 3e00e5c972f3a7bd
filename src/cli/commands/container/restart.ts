import { restartContainer } from "../../../client/containers/restart.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { integer, text } from "../../flags/flag.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {
    signal: text("s", "Signal to send first"),
    timeout: integer("t", "Seconds to wait before it is killed", {
      aliases: ["time"],
      deprecated: { time: "use --timeout instead" },
    }),
  },
  async run(context, { values, changed, args }) {
    const client = await context.client();
    const options = { signal: values.signal, timeout: changed.has("timeout") ? values.timeout : undefined };
    return await eachOperand(context, args, (name) => restartContainer(client, name, options));
  },
});
