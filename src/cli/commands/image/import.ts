import { importImage } from "../../../client/images/import.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { list, text } from "../../flags/flag.ts";
import { splitRepository } from "../../format/repository.ts";
import { readFileChunks } from "../../io/archive.ts";
import { showProgress } from "../../progress/display.ts";

export const command = defineCommand({
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  args: atLeast(1),
  flags: {
    change: list("c", "Dockerfile instruction to apply to the image"),
    message: text("m", "What it is about"),
    platform: text("", "Platform of the image"),
  },
  async run(context, { values, args: [source = "", name = ""] }) {
    const client = await context.client();
    const remote = /^https?:\/\//.test(source);
    const tar = remote ? undefined : source === "-" ? context.in.chunks() : readFileChunks(source);
    splitRepository(name === "" ? undefined : name); // refused here rather than after the upload
    const messages = await importImage(client, {
      source: remote ? source : "-",
      tar,
      repo: name,
      message: values.message,
      changes: values.change,
      platform: values.platform,
    });
    await showProgress(messages, context.out);
    return 0;
  },
});
