import { defineCommand, noArgs } from "../../command.ts";
import { text } from "../../flags/flag.ts";
import { type ListSpec, renderList } from "../../format/list.ts";

interface Row {
  readonly name: string;
  readonly endpoint: string;
  readonly status: string;
  readonly version: string;
  readonly platforms: string;
}

const spec: ListSpec<Row> = {
  typeName: "*commands.lsContext",
  quiet: "Name",
  columns: ["Name", "DriverEndpoint", "Status", "Buildkit", "Platforms"],
  fields: {
    Name: { header: "NAME/NODE", value: ({ name }) => name },
    DriverEndpoint: { header: "DRIVER/ENDPOINT", value: ({ endpoint }) => endpoint },
    Status: { header: "STATUS", value: ({ status }) => status },
    Buildkit: { header: "BUILDKIT", value: ({ version }) => version },
    Platforms: { header: "PLATFORMS", value: ({ platforms }) => platforms },
  },
};

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: { format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template") },
  async run(context, { values }) {
    const { builderFacts } = await import("../../build/describe.ts");
    const { version, platforms } = await builderFacts(context);
    const builder = { name: "default*", endpoint: "docker", status: "", version: "", platforms: "" };
    const node = {
      name: " \\_ default",
      endpoint: " \\_ default",
      status: "running",
      version,
      platforms: platforms.join(", "),
    };
    await context.out.write(await renderList(spec, [builder, node], { format: values.format, minWidth: 0 }));
    return 0;
  },
});
