import { invalid, TugError } from "../../../base/lib/errors.ts";
import { formatPrefix, type IpPrefix, networkOf, overlaps, parsePrefix } from "../../../base/lib/ip.ts";

/** Where networks that name no subnet get one from: blocks cut into subnets of `size` (`default-address-pools`). */
export interface AddressPool {
  readonly base: string;
  readonly size: number;
}

/**
 * Docker's defaults, and after them a large reserve of small subnets: Docker's own list ends after 31 networks, which
 * people do hit ("all predefined address pools have been fully subnetted").
 */
export const defaultAddressPools: readonly AddressPool[] = [
  { base: "172.17.0.0/16", size: 16 },
  { base: "172.18.0.0/16", size: 16 },
  { base: "172.19.0.0/16", size: 16 },
  { base: "172.20.0.0/14", size: 16 },
  { base: "172.24.0.0/14", size: 16 },
  { base: "172.28.0.0/14", size: 16 },
  { base: "192.168.0.0/16", size: 20 },
  { base: "10.192.0.0/10", size: 24 },
];

/** A subnet that something holds already: a network of ours, a route of the host. */
export interface TakenSubnet {
  readonly prefix: IpPrefix;
  readonly by: "network" | "address" | "route";
  /** For the error text: `network "web"`, `route on eth0`. */
  readonly holder: string;
}

/** Parses pools from the configuration. Throws invalid-argument. */
function parsePools(
  pools: readonly AddressPool[],
): readonly { readonly base: IpPrefix; readonly size: number }[] {
  return pools.map((pool) => {
    const base = parsePrefix(pool.base);
    if (!base || pool.size < base.length || pool.size > (base.family === 4 ? 32 : 128)) {
      throw invalid(`invalid default address pool ${pool.base} size ${pool.size}`);
    }
    return { base: networkOf(base), size: pool.size };
  });
}

/** The first subnet of the pools that nothing holds. Throws resource-exhausted. */
export function chooseSubnet(
  pools: readonly AddressPool[],
  family: 4 | 6,
  taken: readonly TakenSubnet[],
): IpPrefix {
  for (const { base, size } of parsePools(pools)) {
    if (base.family !== family) continue;
    const step = 1n << BigInt((family === 4 ? 32 : 128) - size);
    const count = 1n << BigInt(size - base.length);
    const near = taken.filter((one) => overlaps(one.prefix, base));
    for (let i = 0n; i < count; ) {
      const subnet: IpPrefix = { family, value: base.value + i * step, length: size };
      const clash = near.find((one) => overlaps(one.prefix, subnet));
      if (!clash) return subnet;
      // Step over the whole of what is in the way, so that a /8 route does not cost a walk through a /64's pieces.
      const end = clash.prefix.value + (1n << BigInt((family === 4 ? 32 : 128) - clash.prefix.length));
      const next = (end - base.value + step - 1n) / step;
      i = next > i ? next : i + 1n;
    }
  }
  const holders = [...new Set(taken.filter((one) => one.prefix.family === family).map((one) => one.holder))];
  throw new TugError(
    "resource-exhausted",
    `all predefined address pools have been fully subnetted (IPv${family}; held by ${holders.slice(0, 8).join(", ")}` +
      `${holders.length > 8 ? ", ..." : ""}): name a free one with --subnet, or add to "default-address-pools" in daemon.json`,
  );
}

/** Refuses a subnet that overlaps one in use; the text names the other and what to do. */
export function checkOverlap(subnet: IpPrefix, taken: readonly TakenSubnet[]): void {
  const clash = taken.find((one) => overlaps(one.prefix, subnet));
  if (!clash) return;
  throw new TugError(
    "forbidden",
    `invalid pool request: Pool overlaps with other one on this address space: ${formatPrefix(subnet)} clashes with ` +
      `${formatPrefix(clash.prefix)} of ${clash.holder}; choose another --subnet`,
  );
}
