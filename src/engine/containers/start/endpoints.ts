import type { EndpointSettings } from "../../../base/spec/docker/api.gen.ts";
import type { Endpoint, EndpointRequest, Network } from "../../../core/network/network.ts";
import type { ContainerContext } from "../context.ts";
import { parseNetworkMode } from "../network-mode.ts";
import { planPublications } from "../ports.ts";
import type { ContainerRecord } from "../record.ts";

export interface AllocatedEndpoint {
  readonly network: Network;
  readonly endpoint: Endpoint;
}

/** Networks that give a container interfaces; "host" and "none" do not. Of a configuration the network service says that it cannot. */
export function hasEndpoints(network: Network): boolean {
  return (
    network.configOnly === true ||
    (network.driver !== "host" && network.driver !== "null" && network.driver !== "none")
  );
}

/** Reserves an address on every network of the container. */
export async function allocateEndpoints(
  context: ContainerContext,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<readonly AllocatedEndpoint[]> {
  const { config, host } = record.definition;
  if (config.NetworkDisabled || parseNetworkMode(host.NetworkMode).kind === "container") return [];
  const allocated: AllocatedEndpoint[] = [];
  for (const [name, settings] of Object.entries(record.definition.networks)) {
    const network = context.networks.resolve(name);
    if (!hasEndpoints(network)) continue;
    const first = allocated.length === 0;
    const endpoint = await context.networks.allocate(
      endpointRequest(context, record, network, settings, first),
    );
    undo.defer(() => context.networks.release(endpoint));
    allocated.push({ network, endpoint });
  }
  return allocated;
}

/** What the network service is asked for; also used when a running container is connected. */
export function endpointRequest(
  context: ContainerContext,
  record: ContainerRecord,
  network: Network,
  settings: EndpointSettings,
  first: boolean,
): EndpointRequest {
  const { config, host } = record.definition;
  const { defaults } = context;
  const pick = (own: readonly string[] | undefined, fallback: readonly string[]) =>
    own && own.length > 0 ? own : fallback;
  const links = endpointLinks(settings, first && !network.predefined ? (host.Links ?? []) : []);
  return {
    network: network.id,
    containerId: record.id,
    containerName: record.name,
    hostname: config.Hostname ?? "",
    aliases: settings.Aliases ?? [],
    ports: planPublications(config, host, defaults.publishIp),
    dns: {
      servers: pick(host.Dns, defaults.dns),
      options: pick(host.DnsOptions, defaults.dnsOptions),
      search: pick(host.DnsSearch, defaults.dnsSearch),
    },
    ...(settings.IPAMConfig?.IPv4Address ? { ipv4: settings.IPAMConfig.IPv4Address } : {}),
    ...(settings.IPAMConfig?.IPv6Address ? { ipv6: settings.IPAMConfig.IPv6Address } : {}),
    ...(settings.MacAddress ? { mac: settings.MacAddress } : {}),
    ...(settings.DriverOpts ? { driverOptions: settings.DriverOpts } : {}),
    ...(links ? { links } : {}),
    ...(settings.GwPriority ? { gatewayPriority: settings.GwPriority } : {}),
  };
}

/** "container:alias" entries as alias -> container. */
function endpointLinks(
  settings: EndpointSettings,
  hostLinks: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const entries = [...(settings.Links ?? []), ...hostLinks];
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map((entry) => {
      const [container = "", alias = container] = entry.split(":");
      return [alias, container];
    }),
  );
}

/** Plumbs the endpoints into the created container, in order, so that the first is eth0. */
export async function attachEndpoints(
  context: ContainerContext,
  record: ContainerRecord,
  allocated: readonly AllocatedEndpoint[],
  pid: number,
  undo: AsyncDisposableStack,
): Promise<Readonly<Record<string, Endpoint>>> {
  for (const { network, endpoint } of allocated) {
    const attached = await context.networks.attach(endpoint, { containerId: record.id, pid });
    undo.defer(() => context.networks.detach(attached));
    emitNetwork(context, network, record, "connect");
  }
  return currentEndpoints(context, record);
}

/** The attached endpoints of a container by network name, as they are now: its ports move between them. */
export function currentEndpoints(
  context: ContainerContext,
  record: ContainerRecord,
): Readonly<Record<string, Endpoint>> {
  return Object.fromEntries(
    context.networks
      .ofContainer(record.id)
      .filter((endpoint) => endpoint.attached)
      .map((endpoint) => [context.networks.resolve(endpoint.network).name, endpoint]),
  );
}

export function emitNetwork(
  context: ContainerContext,
  network: Pick<Network, "id" | "name" | "driver">,
  record: ContainerRecord,
  action: "connect" | "disconnect",
): void {
  context.events.publish({
    type: "network",
    action,
    id: network.id,
    attributes: { container: record.id, name: network.name, type: network.driver },
  });
}
