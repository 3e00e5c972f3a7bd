import { invalid } from "../../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { pushImage } from "../../../client/images/push.ts";
import { defineCommand, exactly } from "../../command.ts";
import { registryAuth } from "../../config/credentials.ts";
import { refuseUnverified } from "../../config/trust.ts";
import { bool, text } from "../../flags/flag.ts";
import { platformParameter } from "../../format/platform.ts";
import type { Output } from "../../io/output.ts";
import { showProgress, silentOutput } from "../../progress/display.ts";

const platformNote = `Using --platform pushes only the specified platform manifest of a multi-platform image index.
Other components, like attestations, will not be included.
To push the complete multi-platform image, remove the --platform flag.
`;

const missingNote = `You're trying to push a manifest list/index which
references multiple platform specific manifests, but not all of them are available locally
or available to the remote repository.

Make sure you have all the referenced content and try again.

You can also push only a single platform specific manifest directly by specifying the platform you want to push with the --platform flag.`;

/** What the daemon tells beside the progress (moby's auxprogress), in the client's words. */
function auxNote(value: unknown, colour: boolean): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const aux = value as {
    readonly ManifestPushedInsteadOfIndex?: boolean;
    readonly OriginalIndex?: { readonly digest?: string };
    readonly SelectedManifest?: { readonly digest?: string };
    readonly ContentMissing?: boolean;
  };
  if (aux.ContentMissing) return missingNote;
  if (!aux.ManifestPushedInsteadOfIndex) return undefined;
  const paint = (code: string, text = "") => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const digests = `${paint("31", aux.OriginalIndex?.digest)} -> ${paint("32", aux.SelectedManifest?.digest)}`;
  return `Not all multiplatform-content is present and only the available single-platform image was pushed\n${digests}`;
}

/** A note as Docker prints it: set apart, and further lines below the first one's text. */
async function printNote(out: Output, text: string): Promise<void> {
  const head = out.isTerminal ? "\x1b[1m\x1b[106m\x1b[30mi\x1b[0m \x1b[96mInfo → \x1b[0m" : " Info -> ";
  const room = out.isTerminal ? 9 : head.length;
  await out.write(`\n${head}${text.split("\n").join(`\n${" ".repeat(room)}`)}\n`);
}

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
    if (platform !== undefined) await printNote(context.out, platformNote);
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
      auth: await registryAuth(context, reference.domain),
    });
    const notes: string[] = [];
    const aux = (value: unknown) => {
      const note = auxNote(value, context.out.isTerminal);
      if (note !== undefined) notes.push(note);
    };
    try {
      await showProgress(messages, values.quiet ? silentOutput : context.out, aux);
    } finally {
      for (const note of notes) await printNote(context.out, note);
    }
    if (values.quiet) {
      await context.out.write(
        `${reference.domain}/${reference.path}${reference.tag === undefined ? "" : `:${reference.tag}`}\n`,
      );
    }
    return 0;
  },
});
