import type { ContainerId } from "../../base/lib/ids.ts";
import { dnsContainer, hasNames } from "./dns/names.ts";
import { resolverAddress } from "./dns/protocol.ts";
import { lockHost } from "./host-lock.ts";
import type { Network, NetworkService, NetworkSpec, Sandbox } from "./network.ts";
import { type NetworkParts, type NetworkServiceDeps, networkParts } from "./parts.ts";

/** The networks of one daemon. Call `restore` before anything else. */
export function createNetworkService(deps: NetworkServiceDeps): NetworkService {
  const parts = networkParts(deps);
  const { config, log, records, catalog, endpoints, firewall, resolver, allowForwarding } = parts;
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
      const network = createAlone(parts, spec);
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
    restore: (live) => restore(parts, live),
    shutdown: (options) => shutdown(parts, options),
  };
}

function createAlone({ log, catalog }: NetworkParts, spec: NetworkSpec): Network {
  using _lock = lockHost(log);
  return catalog.create(spec);
}

/** The predefined networks exist, and what each network needs on the host. */
function establish({ log, catalog }: NetworkParts): void {
  using _lock = lockHost(log);
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
}

async function restore(parts: NetworkParts, live: ReadonlyMap<ContainerId, Sandbox>): Promise<void> {
  const { config, log, records, catalog, endpoints, firewall, forwarding } = parts;
  establish(parts);
  for (const endpoint of [...records.endpoints.values()]) {
    if (endpoint.attached && live.get(endpoint.containerId)?.pid !== endpoint.pid)
      endpoints.detach(endpoint.id);
  }
  for (const network of catalog.list()) {
    const mine = records.ofNetwork(network.id).map((endpoint) => endpoint.hostInterface);
    catalog.driver(network).reconcile(network, new Set(mine));
  }
  firewall.assertAll();
  for (const { name, network } of catalog.cutOff()) {
    const message = "containers on a network whose record cannot be read are cut off until it is put right";
    log.error(message, { network, bridge: name });
  }
  if (config.iptables === false) await forwarding.withdraw();
  else await parts.allowForwarding();
  await parts.watch.start();
  await parts.resolver.sync();
}

async function shutdown(
  parts: NetworkParts,
  { everything }: { readonly everything: boolean },
): Promise<void> {
  const { records, catalog, endpoints } = parts;
  await parts.watch[Symbol.asyncDispose]();
  await parts.resolver.stop(everything);
  if (everything) {
    for (const endpoint of [...records.endpoints.values()]) endpoints.detach(endpoint.id);
    for (const network of catalog.list()) catalog.driver(network).removeNetwork(network);
    catalog.removeCutOff();
    await parts.forwarding.withdraw();
    parts.firewall.removeAll();
  }
  parts.close();
}
