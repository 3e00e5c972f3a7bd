import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Clock } from "../../base/lib/clock.ts";
import { conflict, invalid, notFound, TugError } from "../../base/lib/errors.ts";
import { type NetworkId, randomId, shortId } from "../../base/lib/ids.ts";
import {
  contains,
  formatIp,
  formatPrefix,
  type IpPrefix,
  networkOf,
  parseIp,
  parsePrefix,
} from "../../base/lib/ip.ts";
import type { Log } from "../../base/lib/log.ts";
import type { NetlinkSocket } from "../../base/sys/netlink.ts";
import { getLink } from "../../base/sys/netlink-route.ts";
import type { NetworkConfig } from "./config.ts";
import type { NetworkDriver } from "./driver.ts";
import { interfaceAddress, liveSubnets } from "./host.ts";
import { validatePools } from "./ipam.ts";
import type { IpamPool, Network, NetworkSpec } from "./network.ts";
import { bridgeName, gatewayMode } from "./options.ts";
import { checkOverlap, chooseSubnet, defaultAddressPools, type TakenSubnet } from "./pools.ts";
import type { NetworkRecords } from "./records.ts";

export interface CatalogDeps {
  readonly records: NetworkRecords;
  readonly drivers: ReadonlyMap<string, NetworkDriver>;
  readonly netlink: NetlinkSocket;
  readonly config: NetworkConfig;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}

const predefinedNames: readonly string[] = ["bridge", "host", "none"];

/** The networks of this daemon: their records, and what each needs on the host. */
export class NetworkCatalog {
  readonly #deps: CatalogDeps;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  list(): readonly Network[] {
    return [...this.#deps.records.networks.values()];
  }

  get(id: NetworkId): Network {
    const network = this.#deps.records.networks.get(id);
    if (!network) throw notFound(`network ${id} not found`);
    return network;
  }

  driver(network: Pick<NetworkSpec, "driver">): NetworkDriver {
    const driver = this.#deps.drivers.get(network.driver);
    if (!driver) throw notFound(`plugin "${network.driver}" not found`);
    return driver;
  }

  /** Docker's order: full id, name, then a unique prefix of an id. */
  resolve(nameOrId: string): Network {
    const networks = this.list();
    const exact =
      networks.find((network) => network.id === nameOrId) ??
      networks.find((network) => network.name === nameOrId);
    if (exact) return exact;
    const matches = nameOrId === "" ? [] : networks.filter((network) => network.id.startsWith(nameOrId));
    if (matches.length > 1) {
      throw invalid(`network ${nameOrId} is ambiguous (${matches.length} matches found based on ID prefix)`);
    }
    if (!matches[0]) throw notFound(`network ${nameOrId} not found`);
    return matches[0];
  }

  create(spec: NetworkSpec): Network {
    const { records } = this.#deps;
    if (spec.name.trim() === "") throw invalid("invalid network name: name is empty");
    if (predefinedNames.includes(spec.name)) {
      throw new TugError("forbidden", `operation is not permitted on predefined ${spec.name} network`);
    }
    if (this.list().some((network) => network.name === spec.name)) {
      throw conflict(`network with name ${spec.name} already exists`);
    }
    const driver = this.driver(spec);
    if (driver.addressless) {
      throw new TugError("forbidden", `only one instance of "${spec.driver}" network is allowed`);
    }
    if (spec.ipam.driver !== "" && spec.ipam.driver !== "default" && spec.ipam.driver !== "null") {
      throw notFound(`plugin "${spec.ipam.driver}" not found`);
    }
    driver.validate(spec);
    if (!spec.enableIPv4 && !spec.enableIPv6) throw invalid("IPv4 or IPv6 must be enabled");
    const id = randomId() as NetworkId;
    const draft: Network = {
      ...spec,
      id,
      created: new Date(this.#deps.clock.now()).toISOString().replace("Z", "000000Z"),
      scope: "local",
      predefined: false,
    };
    this.#checkBridge(draft);
    const hostInterface = driver.hostInterface(draft);
    const adopts = hostInterface !== undefined && this.#adopts(hostInterface);
    const config = this.#pools(spec, adopts ? hostInterface : undefined);
    const network: Network = {
      ...draft,
      ...(adopts ? { adoptsInterface: true } : {}),
      ipam: { ...spec.ipam, driver: spec.ipam.driver || "default", config },
    };
    // The record comes first: should the daemon die in between, the next one knows what it has to remove.
    records.putNetwork(network);
    try {
      driver.createNetwork(network);
    } catch (error) {
      try {
        driver.removeNetwork(network);
      } catch (cleanup) {
        this.#deps.log.warn("half-made network not removed", { network: network.name, error: cleanup });
      }
      records.deleteNetwork(id);
      throw error;
    }
    return network;
  }

  remove(id: NetworkId): Network {
    const { records } = this.#deps;
    const network = this.get(id);
    if (network.predefined) {
      throw new TugError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
    }
    const active = records.ofNetwork(id);
    if (active.length > 0) {
      const names = active.map((endpoint) => `name:"${endpoint.containerName}" id:"${shortId(endpoint.id)}"`);
      throw new TugError(
        "forbidden",
        `error while removing network: network ${network.name} has active endpoints (${names.join(", ")})`,
      );
    }
    this.driver(network).removeNetwork(network);
    records.deleteNetwork(id);
    return network;
  }

  /** bridge, host and none exist always; the bridge follows the configuration of this start. */
  ensurePredefined(): void {
    this.#ensureFixed("host", "host");
    this.#ensureFixed("none", "null");
    const existing = this.list().find((network) => network.name === "bridge");
    if (this.#deps.config.bridge === "none") {
      if (existing && this.#deps.records.ofNetwork(existing.id).length === 0) {
        this.driver(existing).removeNetwork(existing);
        this.#deps.records.deleteNetwork(existing.id);
      }
      return;
    }
    const network = this.#defaultBridge(existing);
    if (existing && bridgeName(existing) !== bridgeName(network))
      this.driver(existing).removeNetwork(existing);
    this.#deps.records.putNetwork(network);
  }

  /** Subnets nobody else may use: of our other networks, and what the host routes. */
  #taken(except?: Network, adopted?: string): readonly TakenSubnet[] {
    const others = this.list().filter((network) => network.id !== except?.id);
    const ours = others.flatMap((network) =>
      network.ipam.config.flatMap((pool): TakenSubnet[] => {
        const prefix = pool.subnet === undefined ? undefined : parsePrefix(pool.subnet);
        return prefix ? [{ prefix, by: "network", holder: `network "${network.name}"` }] : [];
      }),
    );
    const own = new Set(
      this.list()
        .filter((network) => network.driver === "bridge")
        .map(bridgeName),
    );
    own.add(this.#deps.config.bridge ?? this.#deps.config.defaultBridge);
    if (adopted !== undefined) own.add(adopted);
    return [...ours, ...liveSubnets(this.#deps.netlink, own)];
  }

  /** True when an interface is there that none of our networks made. */
  #adopts(name: string): boolean {
    if (!getLink(this.#deps.netlink, name)) return false;
    const sharer = this.list().find((network) => this.driver(network).hostInterface(network) === name);
    return sharer ? sharer.adoptsInterface === true : true;
  }

  /** The pools of a new network: those asked for, completed, or free ones of the default pools. */
  #pools(spec: NetworkSpec, adopted: string | undefined): readonly IpamPool[] {
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

  #checkBridge(network: Network): void {
    if (network.driver !== "bridge") return;
    const name = bridgeName(network);
    const other = this.list().find((one) => one.driver === "bridge" && bridgeName(one) === name);
    if (other) {
      throw new TugError(
        "forbidden",
        `cannot create network ${network.id} (${name}): conflicts with network ${other.id} (${name}): networks have same bridge name`,
      );
    }
  }

  #ensureFixed(name: string, driver: string): void {
    if (this.list().some((network) => network.name === name)) return;
    this.#deps.records.putNetwork(this.#predefined(name, driver, {}, []));
  }

  #predefined(
    name: string,
    driver: string,
    options: Readonly<Record<string, string>>,
    config: readonly IpamPool[],
    enableIPv6 = false,
  ): Network {
    return {
      id: randomId() as NetworkId,
      name,
      driver,
      created: new Date(this.#deps.clock.now()).toISOString().replace("Z", "000000Z"),
      scope: "local",
      predefined: true,
      options,
      labels: {},
      internal: false,
      attachable: false,
      enableIPv4: true,
      enableIPv6,
      ipam: { driver: "default", options: {}, config },
    };
  }

  #defaultBridge(existing: Network | undefined): Network {
    const { config, netlink } = this.#deps;
    const name = config.bridge ?? config.defaultBridge;
    const options: Record<string, string> = {
      "com.docker.network.bridge.default_bridge": "true",
      "com.docker.network.bridge.enable_icc": String(config.icc ?? true),
      "com.docker.network.bridge.enable_ip_masquerade": String(config.ipMasquerade ?? true),
      "com.docker.network.bridge.host_binding_ipv4": config.defaultHostIp ?? "0.0.0.0",
      "com.docker.network.bridge.name": name,
      "com.docker.network.driver.mtu": String(config.mtu ?? 1500),
    };
    if (config.bridge !== undefined && !getLink(netlink, config.bridge)) {
      throw invalid(`bridge device with non default name ${config.bridge} must be created manually`);
    }
    const pools = [this.#defaultSubnet(existing, name)];
    if (config.ipv6 ?? false) pools.push(this.#defaultSubnetV6(existing));
    const fresh = this.#predefined("bridge", "bridge", options, pools, config.ipv6 ?? false);
    return existing ? { ...fresh, id: existing.id, created: existing.created } : fresh;
  }

  #defaultSubnet(existing: Network | undefined, name: string): IpamPool {
    const { config, netlink } = this.#deps;
    const ipRange = config.fixedCidr === undefined ? {} : { ipRange: config.fixedCidr };
    const gatewayOf = (fallback: string) => ({ gateway: config.defaultGateway ?? fallback });
    const given = config.bip ?? undefined;
    if (given !== undefined) {
      const prefix = parsePrefix(given);
      if (prefix?.family !== 4 || networkOf(prefix).value === prefix.value) {
        throw invalid(`invalid CIDR address: ${given}`);
      }
      checkOverlap(networkOf(prefix), this.#taken(existing));
      return { subnet: formatPrefix(networkOf(prefix)), ...ipRange, gateway: formatIp(prefix) };
    }
    const present = config.bridge === undefined ? undefined : interfaceAddress(netlink, name, 4);
    if (present) {
      return { subnet: formatPrefix(networkOf(present.prefix)), ...ipRange, ...gatewayOf(present.address) };
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
