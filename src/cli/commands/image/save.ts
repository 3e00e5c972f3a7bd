import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { readWholeFile } from "../../../base/lib/whole-file.ts";
import { parseInventory } from "../../../base/spec/docker/inventory.ts";
import { saveImages } from "../../../client/images/save.ts";
import { saveMissing } from "../../../client/images/save-missing.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { strings, text } from "../../flags/flag.ts";
import { platformJson } from "../../format/platform.ts";
import { writeBody } from "../../io/archive.ts";
import { unpackLayout } from "../../io/image-folder.ts";

/** The file that `tug image inventory` wrote. */
function readInventory(path: string) {
  let value: unknown;
  try {
    value = JSON.parse(readWholeFile(path).toString());
  } catch (error) {
    throw invalid(`cannot read the inventory ${path}: ${messageOf(error)}`, error);
  }
  return parseInventory(value);
}

const formats = new Set(["docker-archive", "oci-archive", "oci-dir"]);

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  description:
    "The archive is a docker-archive and an OCI archive in one. With --format oci-dir it is written as an OCI image layout into " +
    "the directory that --output names.",
  args: atLeast(1),
  flags: {
    format: text("", "What to write: docker-archive, oci-archive or oci-dir", { initial: "docker-archive" }),
    "missing-on": text("", "Leave out the layers that this inventory tells of (see tug image inventory)"),
    output: text("o", "Write to a file instead of standard output"),
    platform: strings("", "Save only the images of these platforms (os[/arch[/variant]],...)", {
      kind: "string",
    }),
  },
  async run(context, { values, args }) {
    const { format, output } = values;
    if (!formats.has(format)) {
      throw invalid(`unknown format ${JSON.stringify(format)}: must be one of ${[...formats].join(", ")}`);
    }
    if (format === "oci-dir" && output === "") throw invalid("--format oci-dir needs --output DIRECTORY");
    const client = await context.client();
    const platforms = values.platform.map((one) => platformJson(one, "invalid platform: "));
    const inventory = values["missing-on"];
    const open = async () =>
      inventory === ""
        ? (await saveImages(client, args, { platforms })).body
        : (
            await saveMissing(client, {
              Names: args,
              Platforms: values.platform,
              MissingOn: readInventory(inventory),
            })
          ).body;
    if (format === "oci-dir") await unpackLayout(open, output);
    else await writeBody(context, output, "save", open);
    return 0;
  },
});
