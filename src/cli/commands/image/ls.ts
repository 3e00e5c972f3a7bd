import { invalid } from "../../../base/lib/errors.ts";
import { listImages } from "../../../client/images/list.ts";
import { atMost, defineCommand } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, text } from "../../flags/flag.ts";
import { imageRows, imageSpec } from "../../format/images.ts";
import { renderList } from "../../format/list.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  args: atMost(1),
  flags: {
    all: bool("a", "Show images that only serve as parents too"),
    digests: bool("", "Show digests"),
    filter: filter("f", "Show only what matches a condition"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    "no-trunc": bool("", "Do not shorten columns"),
    quiet: bool("q", "Show ids only"),
    tree: bool("", "Group the platforms of an image under it"),
  },
  async run(context, { values, args: [reference] }) {
    if (values.tree) refuseWithTree(values);
    const client = await context.client();
    const format = values.format || (values.quiet ? "" : ((await context.config()).data.imagesFormat ?? ""));
    const filters =
      reference === undefined
        ? values.filter
        : { ...values.filter, reference: [...(values.filter["reference"] ?? []), reference] };
    const images = await listImages(client, {
      all: values.all,
      filters,
      manifests: values.tree,
      sharedSize: /\.(SharedSize|UniqueSize)\b/.test(format),
    });
    images.sort((a, b) => (b.Created ?? 0) - (a.Created ?? 0));
    if (values.tree) {
      const { imageTree } = await import("../../format/image-tree.ts");
      const colour = context.out.isTerminal && (context.env["NO_COLOR"] ?? "") === "";
      await context.out.write(
        imageTree(images, { width: context.out.size().width, colour, all: values.all }),
      );
      return 0;
    }
    const digests = values.digests || /\.Digest\b/.test(format);
    // A table of one's own gets the column as well.
    const ownTable = format.startsWith("table") && format !== "table" && !/\.Digest\b/.test(format);
    const spec = imageSpec({ whole: values["no-trunc"], digests: values.digests, now: Date.now() });
    await context.out.write(
      await renderList(spec, imageRows(images, digests), {
        format: values.digests && ownTable ? `${format}\t{{.Digest}}` : format,
        quiet: values.quiet,
      }),
    );
    if (images.length === 0 && reference !== undefined && subcommands.has(reference)) {
      await context.err.write(
        `\nNo images found matching "${reference}": did you mean "tug image ${reference}"?\n`,
      );
    }
    return 0;
  },
});

const subcommands = new Set(
  "build history import inspect list load ls prune pull push rm save tag".split(" "),
);

/** The tree has one form only. */
function refuseWithTree(values: {
  readonly quiet: boolean;
  readonly "no-trunc": boolean;
  readonly digests: boolean;
  readonly format: string;
}): void {
  const refused = [
    [values.quiet, "--quiet"],
    [values["no-trunc"], "--no-trunc"],
    [values.digests, "--show-digest"],
    [values.format !== "", "--format"],
  ] as const;
  for (const [given, name] of refused) if (given) throw invalid(`${name} is not yet supported with --tree`);
}
