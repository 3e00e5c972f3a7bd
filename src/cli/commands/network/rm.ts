import { isCode, TugError } from "../../../base/lib/errors.ts";
import { removeNetwork } from "../../../client/networks/remove.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { failureText } from "../../exit.ts";
import { bool } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "NETWORK [NETWORK...]",
  args: atLeast(1),
  flags: { force: bool("f", "Do not fail for networks that are not there") },
  async run(context, { values, args }) {
    const client = await context.client();
    let failed = false;
    for (const name of args) {
      try {
        await removeNetwork(client, name);
        await context.out.write(`${name}\n`);
      } catch (error) {
        if (values.force && isCode(error, "not-found")) continue;
        failed = true;
        await context.err.write(failureText(error) ?? "");
      }
    }
    // Docker's client ends with this line; scripts compare stderr.
    if (failed) throw new TugError("internal", "exit status 1");
    return 0;
  },
});
