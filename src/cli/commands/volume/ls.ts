import { listVolumes } from "../../../client/volumes/list.ts";
import { defineCommand, noArgs } from "../../command.ts";
import { filter } from "../../flags/filter.ts";
import { bool, text } from "../../flags/flag.ts";
import { renderList } from "../../format/list.ts";
import { naturalOrder } from "../../format/natural-order.ts";
import { volumeSpec } from "../../format/volumes.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: {
    cluster: bool("", "Show cluster volumes only"),
    filter: filter("f", "Show only what matches a condition ('dangling=true')"),
    format: text("", "How to print: 'table', 'table TEMPLATE', 'json' or a Go template"),
    quiet: bool("q", "Show names only"),
  },
  async run(context, { values }) {
    const client = await context.client();
    const { Volumes } = await listVolumes(client, values.filter);
    const volumes = (Volumes ?? []).filter((volume) => !values.cluster || volume.ClusterVolume != null);
    volumes.sort((a, b) => naturalOrder(a.Name, b.Name));
    const spec = values.cluster ? { ...volumeSpec, columns: clusterColumns } : volumeSpec;
    const format = values.format || (values.quiet ? "" : ((await context.config()).data.volumesFormat ?? ""));
    await context.out.write(await renderList(spec, volumes, { format, quiet: values.quiet }));
    return 0;
  },
});

const clusterColumns = ["Name", "Group", "Driver", "Availability", "Status"];
