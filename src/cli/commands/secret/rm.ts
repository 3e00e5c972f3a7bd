import { removeSecret } from "../../../client/secrets/remove.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "SECRET [SECRET...]",
  args: atLeast(1),
  flags: {},
  async run(context, { args }) {
    const client = await context.client();
    return await eachOperand(context, args, (name) => removeSecret(client, name));
  },
});
