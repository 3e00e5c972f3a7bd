import { type LinkInfo, listLinks } from "../../base/sys/net/links.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import type { SubnetPlanner } from "./addresses/subnets.ts";
import { interfaceAddress } from "./host.ts";
import type { IpamPool } from "./network.ts";
import { ownBridgeName } from "./options.ts";
import type { DamagedNetwork, NetworkRecords } from "./records.ts";

/** A bridge whose network's record cannot be read: nothing new gets from or to its containers. */
export interface CutOffBridge {
  readonly name: string;
  /** Name of the network, "" where that is not known either. */
  readonly network: string;
  /** Its subnets; the gateway is the host's own address there. */
  readonly pools: readonly (IpamPool & { readonly subnet: string })[];
  /** Somebody else is on the bridge, too (an administrator's): the containers' addresses. */
  readonly shared: readonly string[] | undefined;
}

export interface CutOffDeps {
  readonly records: NetworkRecords;
  readonly netlink: NetlinkSocket;
  readonly subnets: SubnetPlanner;
}

/**
 * Bridges of networks whose records cannot be read, as far as the host tells of them. What such a network let through (it may have been
 * internal) nobody knows, so its containers, which go on, get nothing through that is not under way already.
 */
export function cutOffBridges({ records, netlink, subnets }: CutOffDeps): readonly CutOffBridge[] {
  const damaged = records.damagedNetworks();
  if (damaged.length === 0) return [];
  const links = listLinks(netlink);
  return damaged.flatMap((network) => {
    const bridge = bridgeOf(network, links);
    if (!bridge) return [];
    const pools = subnets.remembered(bridge.name, network.endpoints).map(({ subnet }) => {
      const gateway = interfaceAddress(netlink, bridge.name, subnet.includes(":") ? 6 : 4)?.address;
      return { subnet, ...(gateway === undefined ? {} : { gateway }) };
    });
    const shared = isShared(network, bridge, links)
      ? network.endpoints.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].filter((address) => address !== ""))
      : undefined;
    return [{ name: bridge.name, network: network.name, pools, shared }];
  });
}

/** What the links of its containers are on, or the bridge that is named for it. */
function bridgeOf(network: DamagedNetwork, links: readonly LinkInfo[]): LinkInfo | undefined {
  const mine = new Set(network.endpoints.map((endpoint) => endpoint.hostInterface));
  const masters = new Set(links.filter((link) => mine.has(link.name)).map((link) => link.master));
  const bridges = links.filter((link) => link.kind === "bridge");
  return (
    bridges.find((link) => masters.has(link.index)) ??
    bridges.find((link) => link.name === ownBridgeName(network.id))
  );
}

/** Endpoints may be damaged as well: whatever looks like a container's link counts as one. */
function isShared(network: DamagedNetwork, bridge: LinkInfo, links: readonly LinkInfo[]): boolean {
  if (bridge.name === ownBridgeName(network.id)) return false;
  const isContainers = (link: LinkInfo) => link.kind === "veth" && /^veth[0-9a-f]{7}$/.test(link.name);
  return links.some((link) => link.master === bridge.index && !isContainers(link));
}
