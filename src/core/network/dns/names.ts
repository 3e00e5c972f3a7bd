import type { Network } from "../network.ts";
import type { NetworkRecords } from "../records.ts";
import type { DnsContainer } from "./protocol.ts";

/** Networks whose containers know each other by name: all but the predefined ones, as in Docker. */
export function hasNames(network: Network): boolean {
  return !network.predefined && network.driver !== "host" && network.driver !== "null";
}

/** What the resolver must know of a container; undefined: nothing, it is on no such network now. */
export function dnsContainer(
  records: NetworkRecords,
  containerId: string,
  defaultServers: readonly string[],
): DnsContainer | undefined {
  const attached = records.ofContainer(containerId).flatMap((endpoint) => {
    const network = records.networks.get(endpoint.network);
    return endpoint.attached && network ? [{ endpoint, network }] : [];
  });
  const named = attached.filter(({ network }) => hasNames(network));
  const first = named[0];
  if (!first) return undefined;
  const servers = named.flatMap(({ endpoint }) => endpoint.dns.servers);
  return {
    id: containerId,
    pid: first.endpoint.pid,
    startTime: first.endpoint.startTime,
    servers: servers.length > 0 ? [...new Set(servers)] : defaultServers,
    external: attached.some(({ network }) => !network.internal),
    networks: named.map(({ endpoint, network }) => ({
      network: network.id,
      networkName: network.name,
      names: endpoint.dnsNames,
      canonicalName: endpoint.containerName,
      ipv4: endpoint.ipv4,
      ipv6: endpoint.ipv6,
      links: endpoint.links,
    })),
  };
}
