import { isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import { removeImage } from "../../../client/images/remove.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool, strings } from "../../flags/flag.ts";
import { platformJson } from "../../format/platform.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  args: atLeast(1),
  flags: {
    force: bool("f", "Remove it even when it is in use or has several names"),
    "no-prune": bool("", "Keep its parents that have no name"),
    platform: strings("", "Remove only this platform's image (os[/arch[/variant]])"),
  },
  async run(context, { values, args }) {
    const client = await context.client();
    const platforms = values.platform.map((platform) => platformJson(platform));
    const failures: string[] = [];
    let fatal = false;
    for (const name of args) {
      try {
        const removed = await removeImage(client, name, {
          force: values.force,
          noPrune: values["no-prune"],
          platforms,
        });
        const lines = removed.map((item) =>
          item.Deleted ? `Deleted: ${item.Deleted}\n` : `Untagged: ${item.Untagged ?? ""}\n`,
        );
        await context.out.write(lines.join(""));
      } catch (error) {
        if (!isCode(error, "not-found")) fatal = true;
        failures.push(messageOf(error));
      }
    }
    if (failures.length === 0) return 0;
    if (values.force && !fatal) {
      await context.err.write(`${failures.join("\n")}\n`); // by force, what is absent is no failure
      return 0;
    }
    throw new TugError("internal", failures.join("\n"));
  },
});
