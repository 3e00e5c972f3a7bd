import { commitId, tugVersion } from "../../../base/lib/product.ts";
import { defineCommand, noArgs } from "../../command.ts";

export const command = defineCommand({
  usage: "",
  args: noArgs,
  flags: {},
  async run(context) {
    await context.out.write(`tug ${tugVersion} ${commitId}\n`);
    return 0;
  },
});
