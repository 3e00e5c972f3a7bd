import { atMost, defineCommand } from "../command.ts";
import { hubKey } from "../config/credentials.ts";
import { eraseAuth } from "../config/store.ts";

export const command = defineCommand({
  usage: "[SERVER]",
  description: "Without a server, Docker Hub is meant.",
  args: atMost(1),
  flags: {},
  async run(context, { args: [operand] }) {
    const server =
      operand === undefined || operand === "docker.io"
        ? hubKey
        : operand.replace(/^https?:\/\//, "").replace(/\/+$/, "");
    const config = await context.config();
    await context.out.write(`Removing login credentials for ${server}\n`);
    await eraseAuth(config, server);
    return 0;
  },
});
