import { invalid, messageOf } from "../../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { tagImage } from "../../../client/images/tag.ts";
import { defineCommand, exactly } from "../../command.ts";

export const command = defineCommand({
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  args: exactly(2),
  flags: {},
  async run(context, { args: [source = "", target = ""] }) {
    if (!/^(sha256:)?[a-f0-9]{64}$/.test(source)) parse(source);
    const client = await context.client();
    const reference = withDefaultTag(parse(target));
    if (reference.digest !== undefined) throw invalid("refusing to create a tag with a digest reference");
    await tagImage(client, source, familiarName(reference), reference.tag ?? "");
    return 0;
  },
});

function parse(name: string) {
  try {
    return parseReference(name);
  } catch (error) {
    throw invalid(
      `Error parsing reference: ${JSON.stringify(name)} is not a valid repository/tag: ${messageOf(error)}`,
      error,
    );
  }
}
