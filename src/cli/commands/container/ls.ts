import type { ContainerSummary } from "../../../base/spec/docker/api.gen.ts";
import { listContainers } from "../../../client/containers/list.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, integer, text } from "../../flags/flag.ts";
import { containerFields } from "../../format/containers.ts";
import { renderList, tryTemplate } from "../../format/list.ts";

const flags = {
  all: bool("a", "Show stopped containers too"),
  filter: filter("f", "Show only what matches a condition"),
  format: text("", formatHelp()),
  last: integer("n", "Show the last created containers, in any state", { initial: -1 }),
  latest: bool("l", "Show the last created container, in any state"),
  "no-trunc": bool("", "Do not shorten columns"),
  quiet: bool("q", "Show ids only"),
  size: bool("s", "Show sizes on disk"),
};

function formatHelp(): string {
  return "How to print: 'table', 'table TEMPLATE', 'json' or a Go template";
}

const blame = { parsing: "failed to parse template", running: "failed to execute template" };

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags,
  async run(context, { values }) {
    const client = await context.client();
    const config = await context.config();
    const format = values.format || (config.data.psFormat ?? "");
    if (values.format !== "" && values.quiet) {
      await context.err.write(
        "WARNING: Ignoring custom format, because both --format and --quiet are set.\n",
      );
    }
    const spec = containerFields({ whole: values["no-trunc"], now: Date.now(), size: values.size });
    if (format.includes("{{")) await tryTemplate(spec, {}, format, blame);
    const last = values.latest ? 1 : values.last;
    const sized = values.size || (!values.quiet && /\{\{[^}]*\.Size\b/.test(format));
    const containers = await listContainers(client, {
      all: values.all,
      limit: last > 0 ? last : undefined,
      size: sized,
      filters: values.filter,
    });
    const shown = values.quiet ? "" : format;
    await context.out.write(
      await renderList<ContainerSummary>(spec, containers, {
        format: shown,
        quiet: values.quiet,
        blame,
      }),
    );
    return 0;
  },
});
