import { isCode } from "../../../base/lib/errors.ts";
import { removeContainer } from "../../../client/containers/remove.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { failureText } from "../../exit.ts";
import { bool } from "../../flags/flag.ts";
import { eachOperand } from "../each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {
    force: bool("f", "Kill it first when it runs"),
    link: bool("l", "Remove the link of that name"),
    volumes: bool("v", "Remove its anonymous volumes too"),
  },
  async run(context, { values, args }) {
    const client = await context.client();
    const missing = new Set<string>();
    const names = args.map((name) => name.replace(/^\/+/, ""));
    const code = await eachOperand(
      context,
      names,
      async (name) => {
        try {
          await removeContainer(client, name, values);
        } catch (error) {
          // What is to be gone by force and is not there is told, but is no failure.
          if (!values.force || !isCode(error, "not-found")) throw error;
          missing.add(name);
          await context.err.write(failureText(error) ?? "");
        }
      },
      { skip: missing },
    );
    return code;
  },
});
