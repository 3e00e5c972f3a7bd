import { invalid } from "../../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { pushImage } from "../../../client/images/push.ts";
import { defineCommand, exactly } from "../../command.ts";
import { authFor, registryKey } from "../../config/credentials.ts";
import { refuseUnverified } from "../../config/trust.ts";
import { bool, text } from "../../flags/flag.ts";
import { platformParameter } from "../../format/platform.ts";
import { showProgress, silentOutput } from "../../progress/display.ts";

const platformNote = `
 Info -> Using --platform pushes only the specified platform manifest of a multi-platform image index.
         Other components, like attestations, will not be included.
         To push the complete multi-platform image, remove the --platform flag.
         
`;

export const command = defineCommand({
  usage: "[OPTIONS] NAME[:TAG]",
  args: exactly(1),
  flags: {
    "all-tags": bool("a", "Upload every tag of the repository"),
    "disable-content-trust": bool("", "Skip the signing of the image", { initial: true }),
    platform: text("", "Upload only this platform's image (os[/arch[/variant]])"),
    quiet: bool("q", "Print the name only"),
  },
  async run(context, { values, changed, args: [image = ""] }) {
    refuseUnverified(context.env, values["disable-content-trust"], changed.has("disable-content-trust"));
    const platform = platformParameter(values.platform, `Invalid platform ${values.platform}`);
    if (platform !== undefined) await context.out.write(platformNote);
    const parsed = parseReference(image);
    if (parsed.digest !== undefined) throw invalid("cannot push a digest reference");
    if (values["all-tags"] && parsed.tag !== undefined) throw invalid("tag can't be used with --all-tags/-a");
    const reference = values["all-tags"] ? parsed : withDefaultTag(parsed);
    if (!values["all-tags"] && parsed.tag === undefined && parsed.digest === undefined && !values.quiet) {
      await context.out.write("Using default tag: latest\n");
    }
    const client = await context.client();
    const messages = await pushImage(client, {
      image: familiarName(reference),
      tag: reference.tag ?? "",
      platform,
      auth: await authFor(await context.config(), registryKey(reference.domain)),
    });
    await showProgress(messages, values.quiet ? silentOutput : context.out);
    if (values.quiet) {
      await context.out.write(
        `${reference.domain}/${reference.path}${reference.tag === undefined ? "" : `:${reference.tag}`}\n`,
      );
    }
    return 0;
  },
});
