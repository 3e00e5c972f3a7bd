import { containerChanges } from "../../../client/containers/changes.ts";
import { defineCommand, exactly } from "../../command.ts";

const kinds = ["C", "A", "D"];

export const command = defineCommand({
  usage: "CONTAINER",
  args: exactly(1),
  flags: {},
  async run(context, { args: [name = ""] }) {
    const client = await context.client();
    const changes = await containerChanges(client, name);
    await context.out.write(changes.map(({ Kind, Path }) => `${kinds[Kind] ?? Kind} ${Path}\n`).join(""));
    return 0;
  },
});
