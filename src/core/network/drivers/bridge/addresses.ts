import { ipBytes, parseIp, parsePrefix } from "../../../../base/lib/ip.ts";
import {
  deleteAddressMessage,
  listAddresses,
  newAddressMessage,
} from "../../../../base/sys/net/addresses.ts";
import type { NetlinkSocket } from "../../../../base/sys/net/netlink.ts";
import type { Network } from "../../network.ts";
import { gatewayMode, inhibitIPv4 } from "../../options.ts";

/**
 * Gives the bridge of that index the addresses of the network's gateways. Others go, but link-local ones; on an administrator's
 * bridge (`keepOthers`) all stay.
 */
export function ensureAddresses(
  netlink: NetlinkSocket,
  network: Network,
  bridge: { readonly index: number; readonly keepOthers: boolean },
): void {
  const { index, keepOthers } = bridge;
  const wanted = gateways(network);
  const present = listAddresses(netlink).filter((one) => one.index === index);
  const same = (bytes: Uint8Array, other: Uint8Array) => Buffer.compare(bytes, other) === 0;
  for (const one of present) {
    const linkLocal = one.family === 6 && one.address[0] === 0xfe;
    const keep = wanted.some((w) => same(w.address, one.address) && w.length === one.prefixLength);
    if (!keep && !linkLocal && !keepOthers) {
      netlink.run(deleteAddressMessage(index, one.address, one.prefixLength));
    }
  }
  for (const { address, length } of wanted) {
    const there = present.some((one) => same(address, one.address) && one.prefixLength === length);
    if (!there) netlink.run(newAddressMessage(index, address, length));
  }
}

function gateways(network: Network): { readonly address: Uint8Array; readonly length: number }[] {
  return network.ipam.config.flatMap((pool) => {
    const subnet = pool.subnet === undefined ? undefined : parsePrefix(pool.subnet);
    const gateway = pool.gateway === undefined ? undefined : parseIp(pool.gateway);
    if (!subnet || !gateway || (gateway.family === 4 && inhibitIPv4(network))) return [];
    if (gatewayMode(network, subnet.family) === "isolated") return [];
    return [{ address: ipBytes(gateway), length: subnet.length }];
  });
}
