import { invalid } from "../../../base/lib/errors.ts";
import { parseReference } from "../../../base/spec/docker/reference.ts";
import { defineCommand, exactly } from "../../command.ts";
import { refuseUnverified } from "../../config/trust.ts";
import { bool, text } from "../../flags/flag.ts";
import { pullWithProgress } from "../../progress/pull.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  args: exactly(1),
  flags: {
    "all-tags": bool("a", "Download every tag of the repository"),
    "disable-content-trust": bool("", "Skip the check of image signatures", { initial: true }),
    explain: bool("", "Tell which registry, mirror or file each part was looked for at, and what came of it"),
    platform: text("", "Platform to pull, when the registry has several"),
    quiet: bool("q", "Print the name only"),
  },
  async run(context, { values, changed, args: [image = ""] }) {
    refuseUnverified(context.env, values["disable-content-trust"], changed.has("disable-content-trust"));
    const reference = parseReference(image);
    const bare = reference.tag === undefined && reference.digest === undefined;
    if (values["all-tags"] && !bare) throw invalid("tag can't be used with --all-tags/-a");
    if (bare && !values["all-tags"] && !values.quiet) await context.out.write("Using default tag: latest\n");
    const client = await context.client();
    const pulled = await pullWithProgress(context, client, {
      image,
      platform: values.platform || (context.env["DOCKER_DEFAULT_PLATFORM"] ?? ""),
      quiet: values.quiet,
      allTags: values["all-tags"],
      explain: values.explain,
      out: context.out,
    });
    await context.out.write(`${pulled}\n`);
    return 0;
  },
});
