import { humanDuration } from "../../base/lib/human-duration.ts";
import { shortId } from "../../base/lib/ids.ts";
import type { ContainerSummary } from "../../base/spec/docker/api.gen.ts";
import { familiarName, parseReference } from "../../base/spec/docker/reference.ts";
import type { ListSpec } from "./list.ts";
import { portColumn } from "./ports.ts";
import { displayId, ellipsis, goQuote, goTime, labelList } from "./text.ts";
import { humanSize } from "./units.ts";

/** How containers are listed. `size` adds the SIZE column; `whole` is --no-trunc. */
export function containerFields(options: {
  readonly whole: boolean;
  readonly now: number;
  readonly size: boolean;
}): ListSpec<ContainerSummary> {
  const { whole, now } = options;
  return {
    typeName: "*formatter.ContainerContext",
    quiet: "ID",
    columns: [
      "ID",
      "Image",
      "Command",
      "RunningFor",
      "Status",
      "Ports",
      "Names",
      ...(options.size ? ["Size"] : []),
    ],
    fields: {
      ID: { header: "CONTAINER ID", value: (c) => displayId(c.Id ?? "", whole) },
      Names: { header: "NAMES", value: (c) => names(c, whole) },
      Image: { header: "IMAGE", value: (c) => imageName(c, whole) },
      Command: {
        header: "COMMAND",
        value: (c) => goQuote(whole ? (c.Command ?? "") : ellipsis(c.Command ?? "", 20)),
      },
      CreatedAt: { header: "CREATED AT", value: (c) => goTime((c.Created ?? 0) * 1000) },
      RunningFor: { header: "CREATED", value: (c) => `${humanDuration(now - (c.Created ?? 0) * 1000)} ago` },
      Platform: { header: "PLATFORM", value: (c) => platform(c) },
      Ports: { header: "PORTS", value: (c) => portColumn(c.Ports ?? []) },
      State: { header: "STATE", value: (c) => c.State ?? "" },
      Status: { header: "STATUS", value: (c) => c.Status ?? "" },
      Size: { header: "SIZE", value: size },
      Labels: { header: "LABELS", value: (c) => labelList(c.Labels) },
      Label: { header: "", value: (c) => (name: unknown) => c.Labels?.[String(name)] ?? "" },
      Mounts: { header: "MOUNTS", value: (c) => mounts(c, whole) },
      LocalVolumes: {
        header: "LOCAL VOLUMES",
        value: (c) => String((c.Mounts ?? []).filter((m) => m.Driver === "local").length),
      },
      Networks: {
        header: "NETWORKS",
        value: (c) => Object.keys(c.NetworkSettings?.Networks ?? {}).join(","),
      },
    },
  };
}

/** Names without their slash; short form leaves out the names that links gave. */
function names(container: ContainerSummary, whole: boolean): string {
  const all = (container.Names ?? []).map((name) => name.replace(/^\//, ""));
  return (whole ? all : all.filter((name) => !name.includes("/"))).join(",");
}

function imageName(container: ContainerSummary, whole: boolean): string {
  const image = container.Image ?? "";
  if (image === "") return "<no image>";
  if (whole) return image;
  const id = shortId(container.ImageID ?? "");
  if (id === shortId(image)) return id;
  if (!image.includes("@")) return image;
  try {
    const ref = parseReference(image);
    return ref.tag === undefined ? image : `${familiarName(ref)}:${ref.tag}`;
  } catch {
    return image; // not a reference: shown as the daemon has it
  }
}

function platform(container: ContainerSummary): string | null {
  const descriptor = container.ImageManifestDescriptor?.platform;
  if (!descriptor?.os) return null;
  return [descriptor.os, descriptor.architecture, descriptor.variant].filter(Boolean).join("/");
}

function size(container: ContainerSummary): string {
  const own = humanSize(container.SizeRw ?? 0, 3);
  const total = container.SizeRootFs ?? 0;
  return total > 0 ? `${own} (virtual ${humanSize(total, 3)})` : own;
}

function mounts(container: ContainerSummary, whole: boolean): string {
  return (container.Mounts ?? [])
    .map((mount) => mount.Name || mount.Source || "")
    .map((name) => (whole ? name : ellipsis(name, 15)))
    .join(",");
}
