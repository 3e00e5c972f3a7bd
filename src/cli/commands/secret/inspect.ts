import { invalid } from "../../../base/lib/errors.ts";
import type { Secret } from "../../../base/spec/docker/api.gen.ts";
import { inspectOther } from "../../../client/system/inspect-other.ts";
import { atLeast, defineCommand } from "../../command.ts";
import { bool } from "../../flags/flag.ts";
import { formatFlag, printInspected } from "../../format/inspect.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SECRET [SECRET...]",
  args: atLeast(1),
  flags: { format: formatFlag, pretty: bool("", "Print the main facts for people") },
  async run(context, { values, args }) {
    if (values.pretty && values.format !== "")
      throw invalid("--format is incompatible with human friendly format");
    const client = await context.client();
    if (!values.pretty) {
      return await printInspected(context, args, values.format, (name) =>
        inspectOther(client, "secrets", name),
      );
    }
    for (const name of args) {
      const secret = JSON.parse(await inspectOther(client, "secrets", name)) as Secret;
      await context.out.write(pretty(secret));
    }
    return 0;
  },
});

function pretty(secret: Secret): string {
  const labels = Object.entries(secret.Spec?.Labels ?? {});
  return [
    `ID:              ${secret.ID ?? ""}`,
    `Name:            ${secret.Spec?.Name ?? ""}`,
    labels.length > 0 ? "Labels:" : "Labels:          ",
    ...labels.map(([key, value]) => ` - ${key}=${value}`),
    `Driver:          ${secret.Spec?.Driver?.Name ?? ""}`,
    `Created at:      ${secret.CreatedAt ?? ""}`,
    `Updated at:      ${secret.UpdatedAt ?? ""}`,
    "",
  ].join("\n");
}
