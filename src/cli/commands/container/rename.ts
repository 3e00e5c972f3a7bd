import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { renameContainer } from "../../../client/containers/rename.ts";
import { defineCommand, exactly } from "../../command.ts";

export const command = defineCommand({
  usage: "CONTAINER NEW_NAME",
  args: exactly(2),
  flags: {},
  async run(context, { args: [from = "", to = ""] }) {
    const [old, fresh] = [from.trim(), to.trim()];
    if (old === "" || fresh === "") throw invalid("Error: Neither old nor new names may be empty");
    const client = await context.client();
    try {
      await renameContainer(client, old, fresh);
    } catch (error) {
      throw invalid(`${messageOf(error)}\nError: failed to rename container named ${old}`, error);
    }
    return 0;
  },
});
