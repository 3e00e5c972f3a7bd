import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { readWholeFile } from "../../../base/lib/whole-file.ts";
import { bootstrapImage } from "../../../client/images/bootstrap.ts";
import { defineCommand, exactly } from "../../command.ts";
import { bool, list, text } from "../../flags/flag.ts";
import { showProgress, silentOutput } from "../../progress/display.ts";

const words = (values: readonly string[]) => values.flatMap((value) => value.split(",")).filter(Boolean);

export const command = defineCommand({
  usage: "[OPTIONS] DISTRIBUTION:SUITE",
  description:
    "Makes a base image of the distributor's signed packages with debootstrap, which must be installed where the daemon runs. The same " +
    "packages give the same image; times are cut to the environment variable SOURCE_DATE_EPOCH, or to the newest file in the packages.",
  args: exactly(1),
  flags: {
    arch: text("", "Architecture to make it for, like --platform linux/ARCH"),
    components: list("", "Parts of the archive to use (default main)"),
    include: list("", "Packages to install besides those of the variant"),
    keyring: text("", "File with the keys that the packages' signatures must come from"),
    mirror: text("", "URL to take the packages from"),
    "no-check-sig": bool(
      "",
      "Do not check signatures: whoever is between here and the mirror decides what is in the image",
    ),
    platform: text("", "Platform to make it for (os/arch[/variant])"),
    quiet: bool("q", "Print the image's id only"),
    tag: text("t", "Name of the image (default DISTRIBUTION:SUITE)"),
    variant: text("", "Set of packages: minbase, buildd or standard", { initial: "minbase" }),
  },
  async run(context, { values, args: [image = ""] }) {
    const { keyring, arch } = values;
    if (arch !== "" && values.platform !== "") throw invalid("conflicting options: --arch and --platform");
    if (keyring !== "" && values["no-check-sig"])
      throw invalid("conflicting options: --keyring and --no-check-sig");
    const epoch = context.env["SOURCE_DATE_EPOCH"] ?? "";
    if (!/^\d*$/.test(epoch))
      throw invalid(`invalid SOURCE_DATE_EPOCH ${epoch}: it must be seconds since 1970`);
    const client = await context.client();
    const messages = await bootstrapImage(client, {
      Image: image,
      Tag: values.tag || undefined,
      Mirror: values.mirror || undefined,
      Variant: values.variant,
      Include: words(values.include),
      Components: words(values.components),
      Keyring: keyring === "" ? undefined : readKeyring(keyring),
      NoCheckSignature: values["no-check-sig"],
      Platform: values.platform || (arch === "" ? undefined : `linux/${arch}`),
      SourceDateEpoch: epoch === "" ? undefined : Number(epoch),
    });
    let id = "";
    const seen = async function* () {
      for await (const message of messages) {
        if (message.status?.startsWith("Image: ")) id = message.status.slice("Image: ".length);
        yield message;
      }
    };
    await showProgress(seen(), values.quiet ? silentOutput : context.out);
    if (values.quiet) await context.out.write(`${id}\n`);
    return 0;
  },
});

function readKeyring(path: string): string {
  try {
    return readWholeFile(path).toString("base64");
  } catch (error) {
    throw invalid(`cannot read the keyring: ${messageOf(error)}`, error);
  }
}
