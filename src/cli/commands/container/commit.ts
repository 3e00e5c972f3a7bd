import { commitContainer } from "../../../client/images/commit.ts";
import { between, defineCommand } from "../../command.ts";
import { bool, list, text } from "../../flags/flag.ts";
import { splitRepository } from "../../format/repository.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  args: between(1, 2),
  flags: {
    author: text("a", 'Who made it ("Ada Lovelace <ada@example.com>")'),
    change: list("c", "Dockerfile instruction to apply to the image"),
    message: text("m", "What it is about"),
    pause: bool("p", "Pause the container meanwhile", { initial: true }),
  },
  async run(context, { values, args: [container = "", name] }) {
    const client = await context.client();
    const { repo, tag } = splitRepository(name);
    const id = await commitContainer(client, {
      container,
      repo,
      tag,
      comment: values.message,
      author: values.author,
      changes: values.change,
      pause: values.pause,
    });
    await context.out.write(`${id}\n`);
    return 0;
  },
});
