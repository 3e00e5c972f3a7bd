import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Database } from "../../base/store/database.ts";
import type { UnreadableRecords } from "../../base/store/unreadable.ts";
import { openNetfilterSocket } from "../../base/sys/net/conntrack.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import { openRouteSocket } from "../../base/sys/net/netlink.ts";
import { NetworkCatalog } from "./catalog.ts";
import type { NetworkConfig } from "./config.ts";
import { ResolverClient } from "./dns/client.ts";
import { dnsContainer } from "./dns/names.ts";
import type { NetworkDriver } from "./driver.ts";
import { BridgeDriver } from "./drivers/bridge/bridge.ts";
import { hostDriver } from "./drivers/host.ts";
import { createIpvlanDriver } from "./drivers/ipvlan.ts";
import { createMacvlanDriver } from "./drivers/macvlan.ts";
import { nullDriver } from "./drivers/null.ts";
import { Endpoints } from "./endpoints.ts";
import { Firewall } from "./firewall/apply.ts";
import { Forwarding } from "./forwarding/forwarding.ts";
import { runProgram } from "./forwarding/programs.ts";
import { RulesetWatch } from "./forwarding/watch.ts";
import type { Network } from "./network.ts";
import { bridgeName } from "./options.ts";
import { NetworkRecords } from "./records.ts";

export interface NetworkServiceDeps {
  readonly database: Database;
  readonly unreadable: UnreadableRecords;
  readonly clock: Clock;
  readonly log: Log;
  /** Name of this daemon in the host's global spaces: `tug`, or `tug-<8 hex>`. */
  readonly instance: string;
  readonly config: NetworkConfig;
  /** Directory for the resolver's socket: does not survive a reboot. */
  readonly execRoot: string;
  /** Command that runs a helper of this executable (`[process.execPath, "__helper"]`): the helper's name and arguments follow it. */
  readonly helperCommand: readonly string[];
}

/** What the service of one daemon works with. */
export interface NetworkParts {
  readonly config: NetworkConfig;
  readonly log: Log;
  readonly records: NetworkRecords;
  readonly catalog: NetworkCatalog;
  readonly endpoints: Endpoints;
  readonly firewall: Firewall;
  readonly forwarding: Forwarding;
  readonly watch: RulesetWatch;
  readonly resolver: ResolverClient;
  /** Other firewalls of the host let the bridges through. */
  readonly allowForwarding: () => Promise<void>;
  /** Timers and sockets go. */
  readonly close: () => void;
}

export function networkParts(deps: NetworkServiceDeps): NetworkParts {
  const { config, log } = deps;
  const netlink = openRouteSocket();
  // Kept open: closing a netfilter socket waits for the kernel to finish earlier deletions.
  const netfilter = openNetfilterSocket();
  const records = new NetworkRecords(deps.database, deps.unreadable);
  const timers = new LateWork(log);
  const drivers = networkDrivers({ netlink, records, timers, config, log });
  const { instance, clock } = deps;
  const catalog = new NetworkCatalog({ records, drivers, netlink, config, instance, clock, log });
  const bridges = () => catalog.list().filter((network) => network.driver === "bridge");
  const published = () =>
    [...records.endpoints.values()]
      .filter((endpoint) => endpoint.attached && endpoint.ports.length > 0)
      .map((endpoint) => ({ ...endpoint, network: catalog.get(endpoint.network) }));
  const direct = config.directRouting ?? false;
  const state = { networks: bridges, cutOff: () => catalog.cutOff(), published, direct };
  const firewall = new Firewall(instance, netfilter, state, log);
  const forwarding = new Forwarding({
    instance,
    netfilter,
    nft: () => firewall.nft,
    run: runProgram,
    log,
    enabled: config.iptables ?? true,
  });
  const allowForwarding = () => forwarding.allow(bridges().map(bridgeName));
  const watch = new RulesetWatch(async () => {
    if (!firewall.isPresent()) {
      log.warn("somebody removed the nftables table of this daemon, writing it anew");
      firewall.assertAll();
    }
    await allowForwarding();
  }, log);
  const defaultHostIp = config.defaultHostIp ?? "0.0.0.0";
  const endpoints = new Endpoints({ records, catalog, firewall, conntrack: netfilter, log, defaultHostIp });
  const resolver = resolverClient(deps, records);
  const close = () => {
    timers[Symbol.dispose]();
    firewall[Symbol.dispose]();
    netfilter[Symbol.dispose]();
    netlink[Symbol.dispose]();
  };
  return {
    ...{ config, log, records, catalog, endpoints, firewall, forwarding, watch, resolver },
    ...{ allowForwarding, close },
  };
}

function resolverClient(deps: NetworkServiceDeps, records: NetworkRecords): ResolverClient {
  const { config, execRoot, helperCommand, log } = deps;
  const containers = () => new Set([...records.endpoints.values()].map((endpoint) => endpoint.containerId));
  return new ResolverClient({
    socketPath: join(execRoot, "resolver.sock"),
    logPath: join(execRoot, "resolver.log"),
    helperCommand,
    hostResolvConf: config.hostResolvConf ?? "/etc/resolv.conf",
    log,
    wanted: () =>
      [...containers()].flatMap((id: ContainerId) => dnsContainer(records, id, config.dns ?? []) ?? []),
  });
}

function networkDrivers(deps: {
  readonly netlink: NetlinkSocket;
  readonly records: NetworkRecords;
  readonly timers: LateWork;
  readonly config: NetworkConfig;
  readonly log: Log;
}): ReadonlyMap<string, NetworkDriver> {
  const { netlink, records, timers, config, log } = deps;
  const sharesParent = (network: Network) =>
    [...records.networks.values()].some(
      (other) => other.id !== network.id && other.options["parent"] === network.options["parent"],
    );
  const bridge = new BridgeDriver({
    netlink,
    log,
    later: (milliseconds, work) => timers.later(milliseconds, work),
    foreignBridges: config.bridge === undefined || config.bridge === "none" ? [] : [config.bridge],
    ipForward: config.ipForward ?? true,
  });
  const drivers: readonly NetworkDriver[] = [
    bridge,
    hostDriver,
    nullDriver,
    createMacvlanDriver({ netlink, sharesParent }),
    createIpvlanDriver({ netlink, sharesParent }),
  ];
  return new Map(drivers.map((driver) => [driver.name, driver]));
}

/** What need not be done at once, and not at all when the daemon ends before. */
class LateWork implements Disposable {
  readonly #log: Log;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(log: Log) {
    this.#log = log;
  }

  later(milliseconds: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      try {
        work();
      } catch (error) {
        this.#log.warn("a link was not removed", { error });
      }
    }, milliseconds);
    timer.unref();
    this.#timers.add(timer);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
