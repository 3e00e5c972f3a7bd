import { stopContainer } from "../../../client/containers/stop.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { eachOperand } from "../each.ts";
import { stopFlags, stopOptions } from "./stop-flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: stopFlags,
  async run(context, { values, changed, args }) {
    const client = await context.client();
    const options = stopOptions(values, changed);
    return await eachOperand(context, args, (name) => stopContainer(client, name, options));
  },
});
