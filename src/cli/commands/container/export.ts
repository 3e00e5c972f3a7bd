import { exportContainer } from "../../../client/containers/export.ts";
import { defineCommand, exactly } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { writeBody } from "../../io/archive.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  args: exactly(1),
  flags: { output: text("o", "Write to a file instead of standard output") },
  async run(context, { values, args: [name = ""] }) {
    const client = await context.client();
    await writeBody(context, values.output, "export", async () => (await exportContainer(client, name)).body);
    return 0;
  },
});
