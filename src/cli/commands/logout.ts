import { messageOf } from "../../base/lib/errors.ts";
import { atMost, defineCommand } from "../command.ts";
import { hubKey, serverName } from "../config/credentials.ts";
import { eraseAuth } from "../config/store.ts";

export const command = defineCommand({
  usage: "[SERVER]",
  description: "Without a server, Docker Hub is meant.",
  args: atMost(1),
  flags: {},
  async run(context, { args: [operand = ""] }) {
    const name = operand === "" ? hubKey : serverName(operand);
    // Older clients stored a registry under any of these.
    const keys =
      operand === "" ? [hubKey] : [...new Set([operand, name, `http://${name}`, `https://${name}`])];
    await context.out.write(`Removing login credentials for ${name}\n`);
    try {
      await eraseAuth(await context.config(), keys);
    } catch (error) {
      await context.err.write(
        `WARNING: could not erase credentials:\n${keys.map((key) => `${key}: ${messageOf(error)}\n`).join("")}`,
      );
    }
    return 0;
  },
});
