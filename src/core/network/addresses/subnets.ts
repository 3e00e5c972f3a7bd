import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import {
  contains,
  formatIp,
  formatPrefix,
  type IpPrefix,
  networkOf,
  parseIp,
  parsePrefix,
} from "../../../base/lib/ip.ts";
import type { Log } from "../../../base/lib/log.ts";
import type { NetlinkSocket } from "../../../base/sys/net/netlink.ts";
import type { NetworkConfig } from "../config.ts";
import { interfaceAddress, liveSubnets } from "../host.ts";
import type { Endpoint, IpamPool, Network, NetworkSpec } from "../network.ts";
import { bridgeName, gatewayMode } from "../options.ts";
import type { NetworkRecords } from "../records.ts";
import { routerKey, validatePools } from "./ipam.ts";
import { checkOverlap, chooseSubnet, defaultAddressPools, type TakenSubnet } from "./pools.ts";

export interface SubnetDeps {
  readonly records: NetworkRecords;
  readonly netlink: NetlinkSocket;
  readonly config: NetworkConfig;
  readonly instance: string;
  readonly log: Log;
}

/** Which subnets networks get: what was asked for, completed and checked against the host as it is now. */
export class SubnetPlanner {
  readonly #deps: SubnetDeps;

  constructor(deps: SubnetDeps) {
    this.#deps = deps;
  }

  /** The pools of a new network: those asked for, completed, or free ones of the default pools. */
  ofNew(spec: NetworkSpec, adopted: string | undefined): readonly IpamPool[] {
    const asked = spec.ipam.config.map((pool) => withoutEmpty(pool));
    validatePools(asked);
    const taken = [...this.#taken(undefined, spec.driver === "bridge" ? adopted : undefined)];
    const present =
      spec.driver === "bridge" && adopted ? interfaceAddress(this.#deps.netlink, adopted, 4) : undefined;
    if (present && !asked.some((pool) => pool.subnet !== undefined && !pool.subnet.includes(":"))) {
      // A bridge that has an address already says itself what its subnet is.
      asked.push({ subnet: formatPrefix(networkOf(present.prefix)), gateway: present.address });
    }
    const result: IpamPool[] = [];
    const families = { 4: spec.enableIPv4, 6: spec.enableIPv6 } as const;
    for (const pool of asked) {
      const prefix = pool.subnet === undefined ? undefined : parsePrefix(pool.subnet);
      if (!prefix || !families[prefix.family]) continue;
      // A subnet that was named may shadow a wide route (a VPN's 10.0.0.0/8), but not a network the host is a member of; macvlan
      // and ipvlan are there to share one.
      const strict = spec.driver === "bridge";
      const against = taken.filter((one) => one.by === "network" || (strict && one.by === "address"));
      checkOverlap(prefix, against);
      taken.push({ prefix, by: "network", holder: `network "${spec.name}"` });
      result.push(complete(pool, prefix, spec));
    }
    for (const family of [4, 6] as const) {
      if (!families[family] || result.some((pool) => parsePrefix(pool.subnet ?? "")?.family === family))
        continue;
      const pools = family === 4 ? this.#addressPools() : [...this.#addressPools(), this.#uniqueLocalPool()];
      const prefix = chooseSubnet(pools, family, taken);
      result.push(complete({ subnet: formatPrefix(prefix) }, prefix, spec));
    }
    return result;
  }

  #addressPools() {
    return this.#deps.config.defaultAddressPools ?? defaultAddressPools;
  }

  /** A /48 of unique local addresses of this host and instance (RFC 4193: 40 bits that nobody else has). */
  #uniqueLocalPool() {
    let machine = "";
    try {
      machine = readFileSync("/etc/machine-id", "utf8");
    } catch (error) {
      this.#deps.log.debug("no /etc/machine-id: the IPv6 pool depends on the instance alone", { error });
    }
    const hash = createHash("sha256").update(`${machine}\0${this.#deps.instance}`).digest("hex");
    return { base: `fd${hash.slice(0, 2)}:${hash.slice(2, 6)}:${hash.slice(6, 10)}::/48`, size: 64 };
  }

  /** The default bridge's pools, by the configuration of this start and what it had before. */
  ofDefaultBridge(existing: Network | undefined): readonly IpamPool[] {
    const { config } = this.#deps;
    const name = config.bridge ?? config.defaultBridge;
    const pools = [withRouter(this.#defaultSubnet(existing, name), 4, config.defaultGateway)];
    if (config.ipv6 ?? false)
      pools.push(withRouter(this.#defaultSubnetV6(existing), 6, config.defaultGatewayV6));
    return pools;
  }

  /** The pools that a bridge had, by its interface, or, where that is gone, by what its endpoints were given. */
  remembered(
    bridge: string,
    endpoints: readonly Endpoint[],
  ): readonly { readonly subnet: string; readonly gateway: string }[] {
    const given = prefixesOf(endpoints);
    return ([4, 6] as const).flatMap((family) => {
      const live = interfaceAddress(this.#deps.netlink, bridge, family)?.prefix;
      const prefix = live ?? given.find((one) => one.family === family);
      return prefix ? [{ subnet: formatPrefix(networkOf(prefix)), gateway: firstHost(prefix) }] : [];
    });
  }

  #defaultSubnet(existing: Network | undefined, name: string): IpamPool {
    const { config, netlink } = this.#deps;
    const ipRange = config.fixedCidr === undefined ? {} : { ipRange: config.fixedCidr };
    const given = config.bip ?? undefined;
    if (given !== undefined) {
      const prefix = parsePrefix(given);
      if (prefix?.family !== 4 || networkOf(prefix).value === prefix.value) {
        throw invalid(`invalid CIDR address: ${given}`);
      }
      checkOverlap(
        networkOf(prefix),
        this.#taken(existing).filter((one) => one.by !== "route"),
      );
      return { subnet: formatPrefix(networkOf(prefix)), ...ipRange, gateway: formatIp(prefix) };
    }
    const present = config.bridge === undefined ? undefined : interfaceAddress(netlink, name, 4);
    if (present) {
      return { subnet: formatPrefix(networkOf(present.prefix)), ...ipRange, gateway: present.address };
    }
    const before = existing?.ipam.config.find(
      (pool) => pool.subnet !== undefined && !pool.subnet.includes(":"),
    );
    const kept = before?.subnet === undefined ? undefined : parsePrefix(before.subnet);
    const taken = this.#taken(existing);
    const clashes = (prefix: IpPrefix) => {
      try {
        checkOverlap(prefix, taken);
        return false;
      } catch (error) {
        if (!(error instanceof TugError)) throw error;
        return true;
      }
    };
    // Its subnet stays over restarts, unless something else took it and no container is left on it.
    const inUse = existing !== undefined && this.#deps.records.ofNetwork(existing.id).length > 0;
    if (kept && clashes(kept) && inUse) {
      this.#deps.log.warn("the default bridge's subnet clashes with the host", {
        subnet: formatPrefix(kept),
      });
    }
    const prefix = kept && (inUse || !clashes(kept)) ? kept : chooseSubnet(this.#addressPools(), 4, taken);
    return { subnet: formatPrefix(prefix), ...ipRange, gateway: firstHost(prefix) };
  }

  #defaultSubnetV6(existing: Network | undefined): IpamPool {
    const { config } = this.#deps;
    const before = existing?.ipam.config.find((pool) => pool.subnet?.includes(":"));
    const wanted = config.fixedCidrV6 ?? before?.subnet;
    const prefix = wanted === undefined ? undefined : parsePrefix(wanted);
    if (wanted !== undefined && prefix?.family !== 6) throw invalid(`invalid fixed-cidr-v6: ${wanted}`);
    const chosen = prefix
      ? networkOf(prefix)
      : chooseSubnet([...this.#addressPools(), this.#uniqueLocalPool()], 6, this.#taken(existing));
    return { subnet: formatPrefix(chosen), gateway: firstHost(chosen) };
  }

  #networks(): readonly Network[] {
    return [...this.#deps.records.networks.values()];
  }

  /** Subnets nobody else may use: of our other networks, and what the host routes. */
  #taken(except?: Network, adopted?: string): readonly TakenSubnet[] {
    const others = this.#networks().filter((network) => network.id !== except?.id && !network.configOnly);
    const ours = others.flatMap((network) =>
      network.ipam.config.flatMap((pool): TakenSubnet[] => {
        const prefix = pool.subnet === undefined ? undefined : parsePrefix(pool.subnet);
        return prefix ? [{ prefix, by: "network", holder: `network "${network.name}"` }] : [];
      }),
    );
    // What is known of networks whose records cannot be read: they come back when these are put right.
    for (const { name, endpoints } of this.#deps.records.damagedNetworks()) {
      if (name === "bridge") continue;
      for (const prefix of prefixesOf(endpoints))
        ours.push({ prefix, by: "network", holder: `network "${name}"` });
    }
    const own = new Set(
      this.#networks()
        .filter((network) => network.driver === "bridge")
        .map(bridgeName),
    );
    own.add(this.#deps.config.bridge ?? this.#deps.config.defaultBridge);
    if (adopted !== undefined) own.add(adopted);
    return [...ours, ...liveSubnets(this.#deps.netlink, own)];
  }
}

/** The subnets that endpoints have addresses of. */
function prefixesOf(endpoints: readonly Endpoint[]): readonly IpPrefix[] {
  return endpoints
    .flatMap((one) => [`${one.ipv4}/${one.ipv4PrefixLength}`, `${one.ipv6}/${one.ipv6PrefixLength}`])
    .flatMap((text) => parsePrefix(text) ?? [])
    .map(networkOf);
}

/** `--default-gateway`: the router that containers use; the bridge keeps its own address, and nobody else gets the router's. */
function withRouter(pool: IpamPool, family: 4 | 6, router: string | undefined): IpamPool {
  if (router === undefined) return pool;
  const name = routerKey[family];
  const subnet = parsePrefix(pool.subnet ?? "");
  const address = parseIp(router);
  if (!subnet || !address || !contains(subnet, address)) {
    throw invalid(
      `Error initializing network controller: Error creating default "bridge" network: auxiliary address: (${name}:${router}) must belong to the master pool: ${pool.subnet}`,
    );
  }
  return { ...pool, auxAddresses: { ...pool.auxAddresses, [name]: formatIp(address) } };
}

function firstHost(prefix: IpPrefix): string {
  const small = prefix.length >= (prefix.family === 4 ? 31 : 127);
  return formatIp({ family: prefix.family, value: networkOf(prefix).value + (small ? 0n : 1n) });
}

/** A gateway is chosen where none is named: the first address that is not reserved otherwise. */
function complete(pool: IpamPool, prefix: IpPrefix, spec: NetworkSpec): IpamPool {
  const subnet = formatPrefix(networkOf(prefix));
  const asked = pool.gateway === undefined ? undefined : parseIp(pool.gateway);
  if (asked) return { ...pool, subnet, gateway: formatIp(asked) };
  if (spec.driver === "bridge" && spec.internal && gatewayMode(spec, prefix.family) === "isolated") {
    return { ...pool, subnet };
  }
  const reserved = new Set(
    Object.values(pool.auxAddresses ?? {}).map((text) => {
      const address = parseIp(text);
      return address ? formatIp(address) : text;
    }),
  );
  const first = parseIp(firstHost(prefix));
  for (
    let address = first;
    address && contains(prefix, address);
    address = { ...address, value: address.value + 1n }
  ) {
    if (!reserved.has(formatIp(address))) return { ...pool, subnet, gateway: formatIp(address) };
  }
  throw new TugError("resource-exhausted", `no address left for the gateway of ${subnet}`);
}

/** Clients send "" for what was not given. */
function withoutEmpty(pool: IpamPool): IpamPool {
  return {
    ...(pool.subnet ? { subnet: pool.subnet } : {}),
    ...(pool.ipRange ? { ipRange: pool.ipRange } : {}),
    ...(pool.gateway ? { gateway: pool.gateway } : {}),
    ...(pool.auxAddresses && Object.keys(pool.auxAddresses).length > 0
      ? { auxAddresses: pool.auxAddresses }
      : {}),
  };
}
