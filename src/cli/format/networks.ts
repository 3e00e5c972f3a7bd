import { shortId } from "../../base/lib/ids.ts";
import type { NetworkSummary } from "../../base/spec/docker/api.gen.ts";
import type { ListSpec } from "./list.ts";
import { goTimeOf, labelList } from "./text.ts";

export function networkSpec(whole: boolean): ListSpec<NetworkSummary> {
  return {
    typeName: "*network.networkContext",
    quiet: "ID",
    columns: ["ID", "Name", "Driver", "Scope"],
    fields: {
      ID: {
        header: "NETWORK ID",
        value: (network) => (whole ? (network.Id ?? "") : shortId(network.Id ?? "")),
      },
      Name: { header: "NAME", value: (network) => network.Name ?? "" },
      Driver: { header: "DRIVER", value: (network) => network.Driver ?? "" },
      Scope: { header: "SCOPE", value: (network) => network.Scope ?? "" },
      IPv4: { header: "IPV4", value: (network) => String(network.EnableIPv4 ?? false) },
      IPv6: { header: "IPV6", value: (network) => String(network.EnableIPv6 ?? false) },
      Internal: { header: "INTERNAL", value: (network) => String(network.Internal ?? false) },
      Labels: { header: "LABELS", value: (network) => labelList(network.Labels) },
      Label: { header: "", value: (network) => (name: unknown) => network.Labels?.[String(name)] ?? "" },
      CreatedAt: {
        header: "CREATED AT",
        value: (network) => goTimeOf(network.Created ?? ""),
      },
    },
  };
}
