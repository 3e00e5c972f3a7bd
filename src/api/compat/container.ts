import type {
  ContainerConfig,
  ContainerInspectResponse,
  ContainerSummary,
} from "../../base/spec/docker/api.gen.ts";
import type { ApiVersion } from "../version.ts";

/** A line of GET /containers/json for the client's version. */
export function summaryReply(version: ApiVersion, summary: ContainerSummary): unknown {
  const reply: Record<string, unknown> = { ...summary };
  if (version < 46 && summary.HostConfig) {
    const { Annotations: _, ...host } = summary.HostConfig;
    reply["HostConfig"] = host;
  }
  if (version < 48) delete reply["ImageManifestDescriptor"];
  if (version < 52) delete reply["Health"];
  return reply;
}

/** What the engine tells for old clients: the address somebody asked for, which newer ones find at the endpoint. */
type OldConfig = ContainerConfig & { readonly MacAddress?: string };

/** GET /containers/{id}/json for the client's version. */
export function inspectReply(version: ApiVersion, container: ContainerInspectResponse): unknown {
  if (version >= 52) {
    if (!container.Config) return container;
    const { MacAddress: _, ...config }: OldConfig = container.Config;
    return { ...container, Config: config };
  }
  const reply: Record<string, unknown> = { ...container };
  if (version < 48) delete reply["ImageManifestDescriptor"];
  reply["NetworkSettings"] = networkSettings(version, container);
  if (!container.GraphDriver && container.Storage?.RootFS?.Snapshot) {
    reply["GraphDriver"] = { Name: container.Storage.RootFS.Snapshot.Name ?? "", Data: null };
    delete reply["Storage"];
  }
  return reply;
}

/** The bridge's endpoint was shown at the top too until 1.52; aliases held the short id until 1.45. */
function networkSettings(version: ApiVersion, container: ContainerInspectResponse): Record<string, unknown> {
  const settings = container.NetworkSettings ?? {};
  let networks = settings.Networks ?? {};
  if (version < 45) {
    const extra = [container.Id?.slice(0, 12) ?? "", container.Config?.Hostname ?? ""];
    networks = Object.fromEntries(
      Object.entries(networks).map(([name, endpoint]) => [
        name,
        ["bridge", "host", "none"].includes(name)
          ? endpoint
          : { ...endpoint, Aliases: [...new Set([...(endpoint.Aliases ?? []), ...extra])].filter(Boolean) },
      ]),
    );
  }
  const bridge = networks["bridge"];
  return {
    Bridge: "",
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    ...settings,
    EndpointID: bridge?.EndpointID ?? "",
    Gateway: bridge?.Gateway ?? "",
    GlobalIPv6Address: bridge?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridge?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.IPAddress ?? "",
    IPPrefixLen: bridge?.IPPrefixLen ?? 0,
    IPv6Gateway: bridge?.IPv6Gateway ?? "",
    MacAddress: bridge?.MacAddress ?? "",
    Networks: networks,
  };
}
