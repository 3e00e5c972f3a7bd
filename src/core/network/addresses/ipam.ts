import { conflict, invalid, TugError } from "../../../base/lib/errors.ts";
import {
  contains,
  formatIp,
  type IpAddress,
  type IpFamily,
  type IpPrefix,
  lastOf,
  networkOf,
  parseIp,
  parsePrefix,
} from "../../../base/lib/ip.ts";
import type { IpamPool, Network } from "../network.ts";

/**
 * IP address management, pure: which address a new endpoint gets, given those in use. Like Docker, the lowest free one, so
 * that a restarted container usually finds its old address again.
 */
export interface Pool {
  readonly subnet: IpPrefix;
  /** Where addresses are given out from: the ip-range, or the whole subnet. */
  readonly range: IpPrefix;
  readonly gateway: IpAddress | undefined;
  /** Where the default route of its containers leads. */
  readonly router: IpAddress | undefined;
  readonly reserved: readonly IpAddress[];
}

/** Auxiliary addresses by which a bridge network names another router than its bridge (libnetwork's bridge driver). */
export const routerKey = { 4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6" } as const;

/** The pools of a created network (whose records are already checked) of one family. */
function poolsOf(network: Network, family: IpFamily): readonly Pool[] {
  return network.ipam.config.flatMap((config) => {
    const subnet = config.subnet === undefined ? undefined : parsePrefix(config.subnet);
    if (!subnet || subnet.family !== family) return [];
    const gateway = config.gateway === undefined ? undefined : parseIp(config.gateway);
    const named = network.driver === "bridge" ? config.auxAddresses?.[routerKey[family]] : undefined;
    return [
      {
        subnet: networkOf(subnet),
        range: networkOf((config.ipRange && parsePrefix(config.ipRange)) || subnet),
        gateway,
        router: named === undefined ? gateway : parseIp(named),
        reserved: Object.values(config.auxAddresses ?? {}).flatMap((text) => parseIp(text) ?? []),
      },
    ];
  });
}

export interface Allocation {
  readonly address: IpAddress;
  readonly pool: Pool;
}

function unusable(pool: Pool, value: bigint): boolean {
  const small = pool.subnet.length >= (pool.subnet.family === 4 ? 31 : 127);
  // The first address names the subnet (in IPv6 it is the routers' anycast address, RFC 4291 2.6.1), the last IPv4 one is the broadcast.
  if (!small && value === pool.subnet.value) return true;
  if (!small && pool.subnet.family === 4 && value === lastOf(pool.subnet).value) return true;
  return pool.gateway?.value === value || pool.reserved.some((address) => address.value === value);
}

/** An address of `family` for a new endpoint. `used` holds the texts of those in use on the network. */
export function chooseAddress(
  network: Network,
  family: IpFamily,
  used: ReadonlySet<string>,
  wanted?: string,
): Allocation {
  const pools = poolsOf(network, family);
  if (wanted !== undefined) {
    const address = parseIp(wanted);
    if (!address || address.family !== family) throw invalid(`invalid IPv${family} address: ${wanted}`);
    const pool = pools.find((one) => contains(one.subnet, address));
    if (!pool) throw invalid(`no configured subnet or ip-range contain the IP address ${wanted}`);
    if (used.has(formatIp(address)) || unusable(pool, address.value))
      throw conflict("Address already in use");
    return { address, pool };
  }
  for (const pool of pools) {
    const last = lastOf(pool.range).value;
    for (let value = pool.range.value; value <= last; value++) {
      const address = { family, value };
      if (!unusable(pool, value) && !used.has(formatIp(address))) return { address, pool };
    }
  }
  throw new TugError(
    "resource-exhausted",
    `no available IPv${family} addresses on this network's address pools: ${network.name} (${network.id})`,
  );
}

/** Checks what a user wrote in `--subnet`, `--ip-range`, `--gateway`, `--aux-address`; Docker collects all complaints in one text. */
export function validatePools(pools: readonly IpamPool[]): void {
  const problems: string[] = [];
  for (const pool of pools) {
    if (pool.subnet === undefined) {
      if (
        pool.ipRange !== undefined ||
        pool.gateway !== undefined ||
        Object.keys(pool.auxAddresses ?? {}).length > 0
      ) {
        problems.push(
          "invalid subnet : a subnet is needed with an ip-range, a gateway or auxiliary addresses",
        );
      }
      continue;
    }
    const subnet = parsePrefix(pool.subnet);
    if (!subnet) {
      problems.push(`invalid subnet ${pool.subnet}: invalid CIDR block notation`);
      continue;
    }
    const network = networkOf(subnet);
    const text = `${formatIp(network)}/${network.length}`;
    if (network.value !== subnet.value) problems.push(`invalid subnet ${pool.subnet}: it should be ${text}`);
    if (pool.ipRange !== undefined) problems.push(...rangeProblems(pool.ipRange, network, text));
    const addresses: [string, string][] = Object.values(pool.auxAddresses ?? {}).map((a) => [
      "auxiliary address",
      a,
    ]);
    if (pool.gateway !== undefined) addresses.unshift(["gateway", pool.gateway]);
    for (const [what, value] of addresses) {
      const address = parseIp(value);
      if (!address) problems.push(`invalid ${what} ${value}: invalid address`);
      else if (!contains(network, address)) {
        problems.push(
          address.family === network.family
            ? `invalid ${what} ${value}: parent subnet ${text} doesn't contain this address`
            : `invalid ${what} ${value}: parent subnet is an IPv${network.family} block`,
        );
      }
    }
  }
  if (problems.length > 0) throw invalid(`invalid network config:\n${problems.join("\n")}`);
}

function rangeProblems(text: string, subnet: IpPrefix, subnetText: string): readonly string[] {
  const range = parsePrefix(text);
  if (!range) return [`invalid ip-range ${text}: invalid CIDR block notation`];
  if (range.family !== subnet.family)
    return [`invalid ip-range ${text}: parent subnet is an IPv${subnet.family} block`];
  const problems: string[] = [];
  const masked = networkOf(range);
  if (masked.value !== range.value) {
    problems.push(`invalid ip-range ${text}: it should be ${formatIp(masked)}/${masked.length}`);
  }
  if (range.length < subnet.length) {
    problems.push(`invalid ip-range ${text}: CIDR block is bigger than its parent subnet ${subnetText}`);
  } else if (!contains(subnet, range)) {
    problems.push(`invalid ip-range ${text}: parent subnet ${subnetText} doesn't contain ip-range`);
  }
  return problems;
}
