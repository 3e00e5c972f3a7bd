import type { EndpointResource, IPAMConfig, NetworkInspect } from "../../base/spec/docker/api.gen.ts";
import type { Endpoint, IpamPool, Network } from "../../core/network/network.ts";

/** A network in the wire's shape; `Containers` holds the endpoints that are plumbed now. */
export function wireNetwork(
  network: Network,
  endpoints: readonly Endpoint[],
): NetworkInspect & { readonly Containers: Record<string, EndpointResource> } {
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: network.scope,
    Driver: network.driver,
    EnableIPv4: network.enableIPv4,
    EnableIPv6: network.enableIPv6,
    IPAM: {
      Driver: network.ipam.driver,
      Options: { ...network.ipam.options },
      Config: network.ipam.config.map(wirePool),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: network.configFrom ?? "" },
    ConfigOnly: network.configOnly ?? false,
    Containers: Object.fromEntries(
      endpoints
        .filter((endpoint) => endpoint.attached)
        .map((endpoint) => [endpoint.containerId, wireEndpoint(endpoint)]),
    ),
    Options: { ...network.options },
    Labels: { ...network.labels },
  };
}

function wireEndpoint(endpoint: Endpoint): EndpointResource {
  return {
    Name: endpoint.containerName.replace(/^\//, ""),
    EndpointID: endpoint.id,
    MacAddress: endpoint.mac,
    IPv4Address: endpoint.ipv4 === "" ? "" : `${endpoint.ipv4}/${endpoint.ipv4PrefixLength}`,
    IPv6Address: endpoint.ipv6 === "" ? "" : `${endpoint.ipv6}/${endpoint.ipv6PrefixLength}`,
  };
}

function wirePool(pool: IpamPool): IPAMConfig {
  return {
    ...(pool.subnet === undefined ? {} : { Subnet: pool.subnet }),
    ...(pool.ipRange === undefined ? {} : { IPRange: pool.ipRange }),
    ...(pool.gateway === undefined ? {} : { Gateway: pool.gateway }),
    ...(pool.auxAddresses === undefined ? {} : { AuxiliaryAddresses: { ...pool.auxAddresses } }),
  };
}
