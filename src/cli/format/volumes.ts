import type { Volume } from "../../base/spec/docker/api.gen.ts";
import type { ListSpec } from "./list.ts";
import { labelList } from "./text.ts";
import { humanSize } from "./units.ts";

export const volumeSpec: ListSpec<Volume> = {
  typeName: "*formatter.volumeContext",
  quiet: "Name",
  columns: ["Driver", "Name"],
  fields: {
    Name: { header: "VOLUME NAME", value: (volume) => volume.Name },
    Driver: { header: "DRIVER", value: (volume) => volume.Driver },
    Scope: { header: "SCOPE", value: (volume) => volume.Scope },
    Mountpoint: { header: "MOUNTPOINT", value: (volume) => volume.Mountpoint },
    Labels: { header: "LABELS", value: (volume) => labelList(volume.Labels) },
    Label: { header: "", value: (volume) => (name: unknown) => volume.Labels?.[String(name)] ?? "" },
    Links: {
      header: "LINKS",
      value: (volume) => (volume.UsageData ? String(volume.UsageData.RefCount) : "N/A"),
    },
    Size: {
      header: "SIZE",
      value: (volume) => (volume.UsageData ? humanSize(volume.UsageData.Size) : "N/A"),
    },
    Group: { header: "GROUP", value: (volume) => volume.ClusterVolume?.Spec?.Group ?? "N/A" },
    Availability: {
      header: "AVAILABILITY",
      value: (volume) => volume.ClusterVolume?.Spec?.AccessMode?.Availability ?? "N/A",
    },
    Status: { header: "STATUS", value: clusterStatus },
  },
};

/** How far a cluster volume is: not made yet, made, or published on nodes. */
function clusterStatus({ ClusterVolume: cluster }: Volume): string {
  if (!cluster) return "N/A";
  if (!cluster.Info?.VolumeID) return "pending creation";
  const published = cluster.PublishStatus ?? [];
  const ready = published.filter((node) => node.State === "published").length;
  if (published.length === 0) return "created";
  return ready === 0 ? "pending publish" : `in use (${ready} node${ready === 1 ? "" : "s"})`;
}
