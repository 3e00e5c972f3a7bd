import { disconnectNetwork } from "../../../client/networks/disconnect.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool } from "../../flags/flag.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK CONTAINER",
  args: exactly(2),
  flags: { force: bool("f", "Disconnect it even when it is not there") },
  async run(context, { values, args: [network = "", container = ""] }) {
    const client = await context.client();
    await disconnectNetwork(client, network, container, values.force);
    return 0;
  },
});
