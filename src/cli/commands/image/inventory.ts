import { writeFileSync } from "node:fs";
import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { imageInventory } from "../../../client/images/inventory.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { text } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  description:
    "Prints, as JSON, which layers the daemon has: a file for tug image save --missing-on on another machine. It works with Docker's " +
    "daemon, too.",
  args: noArgs,
  flags: { output: text("o", "Write to a file instead of standard output") },
  async run(context, { values }) {
    const { inventory, whole } = await imageInventory(await context.client());
    if (whole !== undefined) await context.err.write(`WARNING: ${whole}: the inventory is empty\n`);
    const document = `${JSON.stringify(inventory, undefined, 2)}\n`;
    if (values.output === "") await context.out.write(document);
    else {
      try {
        writeFileSync(values.output, document);
      } catch (error) {
        throw invalid(`cannot write the inventory: ${messageOf(error)}`, error);
      }
    }
    return 0;
  },
});
