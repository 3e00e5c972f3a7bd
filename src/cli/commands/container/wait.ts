import { waitContainer } from "../../../client/containers/wait.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { failureText } from "../../exit.ts";

export const command = defineCommand({
  usage: "CONTAINER [CONTAINER...]",
  args: atLeast(1),
  flags: {},
  async run(context, { args }) {
    const client = await context.client();
    let failed = false;
    for (const name of args) {
      try {
        const { result } = await waitContainer(client, name);
        const { StatusCode, Error: failure } = await result;
        await context.out.write(`${StatusCode}\n`);
        if (failure?.Message) throw new Error(failure.Message);
      } catch (error) {
        failed = true;
        await context.err.write(failureText(error) ?? "");
      }
    }
    return failed ? 1 : 0;
  },
});
