import { atMost, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[NAME]",
  args: atMost(1),
  flags: { bootstrap: bool("", "Taken and ignored: the daemon's builder needs no start") },
  async run(context, { args: [name = ""] }) {
    const { builderFacts, checkName, describeBuilder } = await import("../../build/describe.ts");
    checkName(name);
    await context.out.write(describeBuilder(await builderFacts(context)));
    return 0;
  },
});
