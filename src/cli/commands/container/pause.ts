import { pauseContainer } from "../../../client/containers/pause.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {},
  async run(context, { args }) {
    const client = await context.client();
    return await eachOperand(context, args, (name) => pauseContainer(client, name));
  },
});
