import { dial } from "../../../client/http/dial.ts";
import { defineCommand, noArgs } from "../../command.ts";

export const command = defineCommand({
  usage: "",
  args: noArgs,
  flags: {},
  async run(context) {
    const { address } = await context.client();
    const connection = await dial(address, undefined);
    const output = (async () => {
      for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read())
        await context.out.write(chunk);
    })();
    const input = (async () => {
      for await (const chunk of context.in.chunks()) await connection.write(chunk);
      connection.shutdown();
    })();
    input.catch(() => undefined); // the far side hung up first: its output has ended, too
    await output;
    return 0;
  },
});
