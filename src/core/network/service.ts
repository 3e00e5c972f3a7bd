import { join } from "node:path";
import type { Clock } from "../../base/lib/clock.ts";
import type { ContainerId } from "../../base/lib/ids.ts";
import type { Log } from "../../base/lib/log.ts";
import type { Database } from "../../base/store/database.ts";
import type { UnreadableRecords } from "../../base/store/unreadable.ts";
import { openNetfilterSocket } from "../../base/sys/netlink-conntrack.ts";
import { openRouteSocket } from "../../base/sys/netlink-route.ts";
import { NetworkCatalog } from "./catalog.ts";
import type { NetworkConfig } from "./config.ts";
import { ResolverClient } from "./dns/client.ts";
import { dnsContainer, hasNames } from "./dns/names.ts";
import { resolverAddress } from "./dns/protocol.ts";
import { createBridgeDriver } from "./drivers/bridge.ts";
import { hostDriver } from "./drivers/host.ts";
import { createIpvlanDriver } from "./drivers/ipvlan.ts";
import { createMacvlanDriver } from "./drivers/macvlan.ts";
import { nullDriver } from "./drivers/null.ts";
import { Endpoints } from "./endpoints.ts";
import { Firewall } from "./firewall-apply.ts";
import { Forwarding } from "./forwarding/forwarding.ts";
import { runProgram } from "./forwarding/programs.ts";
import { RulesetWatch } from "./forwarding/watch.ts";
import type { Network, NetworkService } from "./network.ts";
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

/** The networks of one daemon. Call `restore` before anything else. */
export function createNetworkService(deps: NetworkServiceDeps): NetworkService {
  const { config, log } = deps;
  const netlink = openRouteSocket();
  // Kept open: closing a netfilter socket waits for the kernel to finish earlier deletions.
  const netfilter = openNetfilterSocket();
  const records = new NetworkRecords(deps.database, deps.unreadable);
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const later = (milliseconds: number, work: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      try {
        work();
      } catch (error) {
        log.warn("a link was not removed", { error });
      }
    }, milliseconds);
    timer.unref();
    timers.add(timer);
  };
  const bridge = createBridgeDriver({
    netlink,
    log,
    later,
    foreignBridges: config.bridge === undefined || config.bridge === "none" ? [] : [config.bridge],
    ipForward: config.ipForward ?? true,
  });
  const sharesParent = (network: Network) =>
    [...records.networks.values()].some(
      (other) => other.id !== network.id && other.options["parent"] === network.options["parent"],
    );
  const drivers = new Map(
    [
      bridge,
      hostDriver,
      nullDriver,
      createMacvlanDriver({ netlink, sharesParent }),
      createIpvlanDriver({ netlink, sharesParent }),
    ].map((driver) => [driver.name, driver]),
  );
  const catalog = new NetworkCatalog({
    records,
    drivers,
    netlink,
    config,
    instance: deps.instance,
    clock: deps.clock,
    log,
  });
  const bridges = () => catalog.list().filter((network) => network.driver === "bridge");
  const firewall = new Firewall(
    deps.instance,
    netfilter,
    {
      networks: bridges,
      published: () =>
        [...records.endpoints.values()]
          .filter((endpoint) => endpoint.attached && endpoint.ports.length > 0)
          .map((endpoint) => ({ ...endpoint, network: catalog.get(endpoint.network) })),
      direct: config.directRouting ?? false,
    },
    log,
  );
  const forwarding = new Forwarding({
    instance: deps.instance,
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
  const endpoints = new Endpoints({
    records,
    catalog,
    firewall,
    conntrack: netfilter,
    log,
    defaultHostIp: config.defaultHostIp ?? "0.0.0.0",
  });
  const resolver = new ResolverClient({
    socketPath: join(deps.execRoot, "resolver.sock"),
    logPath: join(deps.execRoot, "resolver.log"),
    helperCommand: deps.helperCommand,
    hostResolvConf: config.hostResolvConf ?? "/etc/resolv.conf",
    log,
    wanted: () =>
      [...new Set([...records.endpoints.values()].map((endpoint) => endpoint.containerId))].flatMap(
        (id) => dnsContainer(records, id, config.dns ?? []) ?? [],
      ),
  });
  /** Tells the resolver what a container is called now, or that it is gone. */
  const namesChanged = async (containerId: ContainerId): Promise<void> => {
    const container = dnsContainer(records, containerId, config.dns ?? []);
    if (container) await resolver.put(container);
    else await resolver.drop(containerId);
  };
  const forgetNames = async (containerId: ContainerId): Promise<void> => {
    try {
      await namesChanged(containerId);
    } catch (error) {
      // The resolver notices the end of a process by itself.
      log.warn("the resolver was not told of a detached container", { container: containerId, error });
    }
  };
  const bridgesChanged = async (network: Network) => {
    if (network.driver !== "bridge") return;
    firewall.networksChanged();
    await allowForwarding();
  };

  return {
    async create(spec) {
      const network = catalog.create(spec);
      try {
        await bridgesChanged(network);
      } catch (error) {
        catalog.remove(network.id);
        throw error;
      }
      return network;
    },
    async remove(id) {
      await bridgesChanged(catalog.remove(id));
    },
    list: () => catalog.list(),
    resolve: (nameOrId) => catalog.resolve(nameOrId),
    endpoints: (id) => records.ofNetwork(id),
    async allocate(request) {
      const endpoint = endpoints.allocate(request);
      if (hasNames(catalog.get(endpoint.network))) resolver.prepare();
      return endpoint;
    },
    async attach(endpoint, sandbox) {
      const attached = endpoints.attach(endpoint.id, sandbox);
      if (!hasNames(catalog.get(attached.network))) return attached;
      try {
        await namesChanged(attached.containerId);
      } catch (error) {
        endpoints.detach(attached.id);
        throw error;
      }
      return attached;
    },
    async detach(endpoint) {
      const record = records.endpoints.get(endpoint.id);
      if (!record?.attached) return;
      endpoints.detach(record.id);
      if (hasNames(catalog.get(record.network))) await forgetNames(record.containerId);
    },
    async release(endpoint) {
      const record = records.endpoints.get(endpoint.id);
      endpoints.release(endpoint.id);
      if (record?.attached && hasNames(catalog.get(record.network))) await forgetNames(record.containerId);
    },
    async rename(containerId, name) {
      const renamed = endpoints.rename(containerId, name);
      if (renamed) await namesChanged(containerId);
    },
    async publish(endpoint, ports) {
      return endpoints.publish(endpoint.id, ports);
    },
    ofContainer: (containerId) => records.ofContainer(containerId),
    resolverAddress: (networks) => (networks.some(hasNames) ? resolverAddress : undefined),
    async restore(live) {
      catalog.ensurePredefined();
      for (const network of catalog.list()) {
        try {
          catalog.driver(network).createNetwork(network);
        } catch (error) {
          // A parent interface that is missing today must not keep the daemon from its other networks.
          if (network.predefined) throw error;
          log.error("a network could not be set up", { network: network.name, error });
        }
      }
      for (const endpoint of [...records.endpoints.values()]) {
        if (endpoint.attached && live.get(endpoint.containerId)?.pid !== endpoint.pid)
          endpoints.detach(endpoint.id);
      }
      for (const network of catalog.list()) {
        const mine = records.ofNetwork(network.id).map((endpoint) => endpoint.hostInterface);
        catalog.driver(network).reconcile(network, new Set(mine));
      }
      firewall.assertAll();
      if (config.iptables === false) await forwarding.withdraw();
      else await allowForwarding();
      await watch.start();
      await resolver.sync();
    },
    async shutdown({ everything }) {
      await watch[Symbol.asyncDispose]();
      await resolver.stop(everything);
      if (everything) {
        for (const endpoint of [...records.endpoints.values()]) endpoints.detach(endpoint.id);
        for (const network of catalog.list()) catalog.driver(network).removeNetwork(network);
        await forwarding.withdraw();
        firewall.removeAll();
      }
      for (const timer of timers) clearTimeout(timer);
      firewall[Symbol.dispose]();
      netfilter[Symbol.dispose]();
      netlink[Symbol.dispose]();
    },
  };
}
