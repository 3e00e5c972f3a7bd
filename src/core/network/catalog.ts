import type { Clock } from "../../base/lib/clock.ts";
import { conflict, invalid, notFound, TugError } from "../../base/lib/errors.ts";
import { type NetworkId, randomId, shortId } from "../../base/lib/ids.ts";
import { formatRfc3339Nano } from "../../base/lib/timestamp.ts";
import { deleteLink, getLink } from "../../base/sys/net/links.ts";
import { type SubnetDeps, SubnetPlanner } from "./addresses/subnets.ts";
import { assertUnusedConfiguration, configurationSpec, configuredSpec } from "./configuration.ts";
import { type CutOffBridge, cutOffBridges } from "./cut-off.ts";
import type { NetworkDriver } from "./driver.ts";
import type { IpamPool, Network, NetworkSpec } from "./network.ts";
import { bridgeName, ownBridgeName } from "./options.ts";

export interface CatalogDeps extends SubnetDeps {
  readonly drivers: ReadonlyMap<string, NetworkDriver>;
  readonly clock: Clock;
}

const predefinedNames: readonly string[] = ["bridge", "host", "none"];

/** The networks of this daemon: their records, and what each needs on the host. */
export class NetworkCatalog {
  readonly #deps: CatalogDeps;
  readonly #subnets: SubnetPlanner;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
    this.#subnets = new SubnetPlanner(deps);
  }

  list(): readonly Network[] {
    return [...this.#deps.records.networks.values()];
  }

  get(id: NetworkId): Network {
    const network = this.#deps.records.networks.get(id);
    if (!network) throw notFound(`network ${id} not found`);
    return network;
  }

  /** Bridges of networks whose records cannot be read: see `cut-off.ts`. */
  cutOff(): readonly CutOffBridge[] {
    const { records, netlink } = this.#deps;
    return cutOffBridges({ records, netlink, subnets: this.#subnets });
  }

  /** Nothing is on them any more. One with a name of its own, which an administrator may have made, stays. */
  removeCutOff(): void {
    for (const { id } of this.#deps.records.damagedNetworks())
      deleteLink(this.#deps.netlink, ownBridgeName(id));
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

  create(asked: NetworkSpec): Network {
    const { records } = this.#deps;
    const spec = asked.configOnly ? configurationSpec(asked) : configuredSpec(asked, this.list());
    if (spec.name.trim() === "") throw invalid("invalid network name: name is empty");
    if (predefinedNames.includes(spec.name)) {
      throw new TugError("forbidden", `operation is not permitted on predefined ${spec.name} network`);
    }
    if (this.list().some((network) => network.name === spec.name)) {
      throw conflict(`network with name ${spec.name} already exists`);
    }
    if (records.damaged(spec.name)) {
      throw conflict(
        `network with name ${spec.name} already exists, but its record cannot be read: the daemon's log says what to do`,
      );
    }
    const driver = this.driver(spec);
    if (driver.addressless && !spec.configOnly) {
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
      created: formatRfc3339Nano(BigInt(Math.trunc(this.#deps.clock.now())) * 1_000_000n),
      scope: "local",
      predefined: false,
    };
    this.#checkBridge(draft);
    const hostInterface = driver.hostInterface(draft);
    const adopts = hostInterface !== undefined && this.#adopts(hostInterface);
    const config = spec.configOnly
      ? spec.ipam.config
      : this.#subnets.ofNew(spec, adopts ? hostInterface : undefined);
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
    assertUnusedConfiguration(network, this.list());
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
    const known = this.list().find((network) => network.name === "bridge");
    if (this.#deps.config.bridge === "none") {
      if (known && this.#deps.records.ofNetwork(known.id).length === 0) {
        this.driver(known).removeNetwork(known);
        this.#deps.records.deleteNetwork(known.id);
      }
      return;
    }
    const existing = known ?? this.#rebuiltBridge();
    const network = this.#defaultBridge(existing);
    if (existing && bridgeName(existing) !== bridgeName(network))
      this.driver(existing).removeNetwork(existing);
    this.#deps.records.putNetwork(network);
  }

  /** True when an interface is there that none of our networks made. */
  #adopts(name: string): boolean {
    if (!getLink(this.#deps.netlink, name)) return false;
    const sharer = this.list().find((network) => this.driver(network).hostInterface(network) === name);
    return sharer ? sharer.adoptsInterface === true : true;
  }

  #checkBridge(network: Network): void {
    if (network.driver !== "bridge") return;
    const name = bridgeName(network);
    const damaged = this.cutOff().find((bridge) => bridge.name === name);
    if (damaged) {
      throw new TugError(
        "forbidden",
        `cannot create network ${network.id} (${name}): conflicts with network ${damaged.network} (${name}), whose record cannot be read: the daemon's log says what to do`,
      );
    }
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
    const network = this.#predefined(name, driver, {}, []);
    const damaged = this.#deps.records.damaged(name);
    this.#deps.records.putNetwork(damaged ? { ...network, id: damaged.id } : network);
  }

  /**
   * The default bridge whose record was damaged, under its id and with its subnets, so that its containers go on: all else follows from
   * the configuration.
   */
  #rebuiltBridge(): Network | undefined {
    const { records, config } = this.#deps;
    const damaged = records.damaged("bridge");
    if (!damaged) return undefined;
    const pools = this.#subnets.remembered(config.bridge ?? config.defaultBridge, damaged.endpoints);
    const network = { ...this.#predefined("bridge", "bridge", {}, pools), id: damaged.id };
    records.putNetwork(network);
    return network;
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
      created: formatRfc3339Nano(BigInt(Math.trunc(this.#deps.clock.now())) * 1_000_000n),
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
    const pools = this.#subnets.ofDefaultBridge(existing);
    const fresh = this.#predefined("bridge", "bridge", options, pools, config.ipv6 ?? false);
    return existing ? { ...fresh, id: existing.id, created: existing.created } : fresh;
  }
}
