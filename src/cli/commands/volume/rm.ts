import { isCode } from "../../../base/lib/errors.ts";
import { removeVolume } from "../../../client/volumes/remove.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  args: atLeast(1),
  flags: { force: bool("f", "Do not fail for volumes that are not there") },
  async run(context, { values, args }) {
    const client = await context.client();
    return await eachOperand(context, args, async (name) => {
      try {
        await removeVolume(client, name, values.force);
      } catch (error) {
        if (!values.force || !isCode(error, "not-found")) throw error;
      }
    });
  },
});
