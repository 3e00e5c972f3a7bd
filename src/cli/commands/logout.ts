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
    const failures = await eraseAuth(await context.config(), keys);
    // One name that could be forgotten is enough: the others are what older clients may have used.
    if (failures.size === keys.length) {
      const lines = [...failures].map(([key, error]) => `${key}: ${messageOf(error)}\n`);
      await context.err.write(`WARNING: could not erase credentials:\n${lines.join("")}`);
    }
    return 0;
  },
});
