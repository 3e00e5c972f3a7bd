import { statSync } from "node:fs";
import { invalid } from "../../../base/lib/errors.ts";
import { loadImages } from "../../../client/images/load.ts";
import type { ProgressMessage } from "../../../client/images/progress.ts";
import { jsonLines } from "../../../client/stream/json-lines.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { bool, strings, text } from "../../flags/flag.ts";
import { platformJson } from "../../format/platform.ts";
import { readFileChunks } from "../../io/archive.ts";
import { packFolder } from "../../io/image-folder.ts";
import { showProgress } from "../../progress/display.ts";

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    input: text("i", "Read from a tar archive file, or the directory of one, instead of standard input"),
    platform: strings("", "Load only the images of these platforms (os[/arch[/variant]],...)", {
      kind: "string",
    }),
    quiet: bool("q", "Print only what was loaded"),
  },
  async run(context, { values }) {
    if (values.input === "" && context.in.isTerminal)
      throw invalid("requested load from stdin, but stdin is empty");
    const source =
      values.input === ""
        ? context.in.chunks()
        : isFolder(values.input)
          ? packFolder(values.input)
          : readFileChunks(values.input);
    const client = await context.client();
    const quiet = values.quiet || !context.out.isTerminal;
    const platforms = values.platform.map((one) => platformJson(one, "invalid platform: "));
    const reply = await loadImages(client, source, { quiet, platforms });
    if ((reply.headers["content-type"] ?? "").startsWith("application/json")) {
      await showProgress(jsonLines<ProgressMessage>(reply.body), context.out);
    } else await context.out.write(await reply.body.text());
    return 0;
  },
});
