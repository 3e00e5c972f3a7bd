import { humanDuration } from "../../../base/lib/human-duration.ts";
import type { Secret } from "../../../base/spec/docker/api.gen.ts";
import { listSecrets } from "../../../client/secrets/list.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, text } from "../../flags/flag.ts";
import { type ListSpec, renderList } from "../../format/list.ts";
import { naturalOrder } from "../../format/natural-order.ts";
import { labelList } from "../../format/text.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    filter: filter("f", "Show only what matches a condition"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    quiet: bool("q", "Show ids only"),
  },
  async run(context, { values }) {
    const client = await context.client();
    const secrets = await listSecrets(client, values.filter);
    secrets.sort((a, b) => naturalOrder(a.Spec?.Name ?? "", b.Spec?.Name ?? ""));
    const options = { format: values.format, quiet: values.quiet };
    await context.out.write(await renderList(secretSpec(Date.now()), secrets, options));
    return 0;
  },
});

function secretSpec(now: number): ListSpec<Secret> {
  const ago = (time: string | undefined) => `${humanDuration(now - new Date(time ?? 0).getTime())} ago`;
  return {
    typeName: "*secret.secretContext",
    quiet: "ID",
    columns: ["ID", "Name", "Driver", "CreatedAt", "UpdatedAt"],
    fields: {
      ID: { header: "ID", value: (secret) => secret.ID ?? "" },
      Name: { header: "NAME", value: (secret) => secret.Spec?.Name ?? "" },
      Driver: { header: "DRIVER", value: (secret) => secret.Spec?.Driver?.Name ?? "" },
      CreatedAt: { header: "CREATED", value: (secret) => ago(secret.CreatedAt) },
      UpdatedAt: { header: "UPDATED", value: (secret) => ago(secret.UpdatedAt) },
      Labels: { header: "LABELS", value: (secret) => labelList(secret.Spec?.Labels) },
      Label: { header: "", value: (secret) => (name: unknown) => secret.Spec?.Labels?.[String(name)] ?? "" },
    },
  };
}
