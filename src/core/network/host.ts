import { formatIp, type IpPrefix, ipFromBytes } from "../../base/lib/ip.ts";
import { listAddresses } from "../../base/sys/net/addresses.ts";
import { getLink, listLinks } from "../../base/sys/net/links.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import { listRoutes } from "../../base/sys/net/routes.ts";
import type { TakenSubnet } from "./addresses/pools.ts";

const mainTable = 254;
const unicast = 1;

/**
 * Subnets the host routes or is a member of now (LANs, VPNs, other engines' bridges), so that no new network shadows one.
 * `own`: interfaces not to count, the bridges of this daemon.
 */
export function liveSubnets(netlink: NetlinkSocket, own: ReadonlySet<string>): readonly TakenSubnet[] {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link.name]));
  const taken: TakenSubnet[] = [];
  for (const route of listRoutes(netlink)) {
    const name = links.get(route.index) ?? "";
    if (route.table !== mainTable || route.type !== unicast || route.prefixLength === 0 || own.has(name))
      continue;
    const prefix: IpPrefix = { ...ipFromBytes(route.destination), length: route.prefixLength };
    if (!isLinkLocal(prefix))
      taken.push({ prefix, by: "route", holder: `the host's route on ${name || "an interface"}` });
  }
  for (const one of listAddresses(netlink)) {
    const name = links.get(one.index) ?? "";
    if (own.has(name) || name === "lo") continue;
    const prefix: IpPrefix = { ...ipFromBytes(one.address), length: one.prefixLength };
    if (!isLinkLocal(prefix)) taken.push({ prefix, by: "address", holder: `the host's address on ${name}` });
  }
  return taken;
}

function isLinkLocal(prefix: IpPrefix): boolean {
  return prefix.family === 6 && prefix.value >> 118n === 0x3fan;
}

/** The first address of an interface in a family with its prefix length: what `--bridge` networks are made from. */
export function interfaceAddress(
  netlink: NetlinkSocket,
  name: string,
  family: 4 | 6,
): { readonly address: string; readonly prefix: IpPrefix } | undefined {
  const link = getLink(netlink, name);
  if (!link) return undefined;
  for (const one of listAddresses(netlink)) {
    if (one.index !== link.index || one.family !== family) continue;
    const address = ipFromBytes(one.address);
    const prefix: IpPrefix = { ...address, length: one.prefixLength };
    if (!isLinkLocal(prefix)) return { address: formatIp(address), prefix };
  }
  return undefined;
}
