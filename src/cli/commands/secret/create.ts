import { invalid } from "../../../base/lib/errors.ts";
import { systemText } from "../../../base/lib/system-text.ts";
import { readWholeFile } from "../../../base/lib/whole-file.ts";
import { createSecret } from "../../../client/secrets/create.ts";
import { between, defineCommand } from "../../command.ts";
import { list, text } from "../../flags/flag.ts";
import { labelFlag, pairsToMap } from "../../run/values/environment.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SECRET [file|-]",
  args: between(1, 2),
  flags: {
    driver: text("d", "Where the secret is kept"),
    label: list("l", "Set a label", labelFlag),
    "template-driver": text("", "Template language of its content"),
  },
  async run(context, { values, args: [name = "", file] }) {
    if (values.driver !== "" && file !== undefined) {
      throw invalid("when using secret driver secret data must be empty");
    }
    const data =
      values.driver !== "" || file === undefined ? undefined : await read(file, context.in.chunks());
    if (values.driver === "" && data === undefined)
      throw invalid("either file name or STDIN must be provided");
    const client = await context.client();
    const id = await createSecret(client, {
      Name: name,
      Labels: pairsToMap(values.label),
      ...(data === undefined ? {} : { Data: data.toString("base64") }),
      ...(values.driver === "" ? {} : { Driver: { Name: values.driver } }),
      ...(values["template-driver"] === "" ? {} : { Templating: { Name: values["template-driver"] } }),
    });
    await context.out.write(`${id}\n`);
    return 0;
  },
});

async function read(file: string, input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  if (file !== "-") {
    try {
      return readWholeFile(file);
    } catch (error) {
      throw invalid(
        `error reading content from ${JSON.stringify(file)}: open ${file}: ${systemText(error)}`,
        error,
      );
    }
  }
  const parts: Uint8Array[] = [];
  for await (const chunk of input) parts.push(chunk);
  return Buffer.concat(parts);
}
