import type { NetworkCatalog } from "./catalog.ts";
import type { Network } from "./network.ts";
import type { EndpointRecord } from "./records.ts";

export interface Candidate {
  readonly endpoint: EndpointRecord;
  readonly network: Network;
}

/** Best first, as Docker orders gateways: the highest priority, of equals the first network by name. */
export function byGatewayRank(a: Candidate, b: Candidate): number {
  return (
    b.endpoint.gatewayPriority - a.endpoint.gatewayPriority || (a.network.name < b.network.name ? -1 : 1)
  );
}

export function addressOf(endpoint: EndpointRecord, family: 4 | 6): string {
  return family === 4 ? endpoint.ipv4 : endpoint.ipv6;
}

/** The attached endpoint that a container's ports of a family are published through: the best of a network that can. */
export function carrierOf(
  catalog: NetworkCatalog,
  endpoints: readonly EndpointRecord[],
  family: 4 | 6,
): Candidate | undefined {
  return endpoints
    .filter((endpoint) => endpoint.attached && addressOf(endpoint, family) !== "")
    .map((endpoint) => ({ endpoint, network: catalog.get(endpoint.network) }))
    .filter(({ network }) => catalog.driver(network).publishes && !network.internal)
    .sort(byGatewayRank)[0];
}
