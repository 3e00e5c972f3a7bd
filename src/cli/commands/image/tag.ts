import { invalid } from "../../../base/lib/errors.ts";
import { familiarName, parseReference, withDefaultTag } from "../../../base/spec/docker/reference.ts";
import { tagImage } from "../../../client/images/tag.ts";
import { defineCommand, exactly } from "../../command.ts";

export const command = defineCommand({
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  args: exactly(2),
  flags: {},
  async run(context, { args: [source = "", target = ""] }) {
    const client = await context.client();
    const reference = withDefaultTag(parseTarget(target));
    if (reference.digest !== undefined) throw invalid("refusing to create a tag with a digest reference");
    await tagImage(client, source, familiarName(reference), reference.tag ?? "");
    return 0;
  },
});

function parseTarget(target: string) {
  try {
    return parseReference(target);
  } catch (error) {
    throw invalid(
      `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${error instanceof Error ? error.message : ""}`,
      error,
    );
  }
}
