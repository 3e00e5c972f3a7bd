import type { EndpointSettings, NetworkSettings } from "../../../base/spec/docker/api.gen.ts";
import type { ContainerContext } from "../context.ts";
import { portMap } from "../ports.ts";
import { type ContainerRecord, isAlive } from "../record.ts";
import { listOrNull, wireNull } from "./wire-null.ts";

/** NetworkSettings of inspect: what was asked for on each network, with what it got while it runs. */
export function networkSettings(context: ContainerContext, record: ContainerRecord): NetworkSettings {
  const { config, host } = record.definition;
  const alive = isAlive(record);
  return {
    SandboxID: alive ? record.id : "",
    SandboxKey: alive ? `/proc/${record.state.pid}/ns/net` : "",
    Ports: alive ? portMap(config, host, Object.values(record.state.endpoints)) : {},
    Networks: networksOf(context, record),
  };
}

export function networksOf(
  context: ContainerContext,
  record: ContainerRecord,
): Record<string, EndpointSettings> {
  const shown: Record<string, EndpointSettings> = {};
  for (const [name, settings] of Object.entries(record.definition.networks)) {
    shown[name] = endpointSettings(context, record, name, settings);
  }
  return shown;
}

function endpointSettings(
  context: ContainerContext,
  record: ContainerRecord,
  name: string,
  settings: EndpointSettings,
): EndpointSettings {
  const endpoint = record.state.endpoints[name];
  const network =
    findNetwork(context, endpoint?.network ?? settings.NetworkID ?? name) ?? findNetwork(context, name);
  const ran = record.state.everStarted || endpoint !== undefined;
  return {
    IPAMConfig: settings.IPAMConfig ?? null,
    Links: listOrNull(settings.Links),
    Aliases: listOrNull(settings.Aliases),
    DriverOpts: settings.DriverOpts ?? null,
    GwPriority: settings.GwPriority ?? 0,
    NetworkID: ran ? (network?.id ?? "") : "",
    EndpointID: endpoint?.id ?? "",
    Gateway: endpoint?.ipv4Gateway ?? "",
    IPAddress: endpoint?.ipv4 ?? "",
    MacAddress: endpoint?.mac ?? "",
    IPPrefixLen: endpoint?.ipv4 ? endpoint.ipv4PrefixLength : 0,
    IPv6Gateway: endpoint?.ipv6Gateway ?? "",
    GlobalIPv6Address: endpoint?.ipv6 ?? "",
    GlobalIPv6PrefixLen: endpoint?.ipv6 ? endpoint.ipv6PrefixLength : 0,
    DNSNames: network && !network.predefined ? dnsNames(record, settings) : wireNull,
  };
}

function findNetwork(context: ContainerContext, reference: string) {
  try {
    return context.networks.resolve(reference);
  } catch {
    // Removed meanwhile, or never made: shown without an id.
    return undefined;
  }
}

/** Names that the resolver answers with on a user-defined network: name, aliases, short id. */
function dnsNames(record: ContainerRecord, settings: EndpointSettings): string[] {
  const hostname = record.definition.config.Hostname ?? "";
  return [...new Set([record.name, ...(settings.Aliases ?? []), record.id.slice(0, 12), hostname])].filter(
    Boolean,
  );
}
