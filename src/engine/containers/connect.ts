import { conflict, invalid, isCode, messageOf, notFound, TugError } from "../../base/lib/errors.ts";
import type { EndpointSettings } from "../../base/spec/docker/api.gen.ts";
import type { Endpoint, Network } from "../../core/network/network.ts";
import type { ContainerContext } from "./context.ts";
import { checkEndpointSettings } from "./create/endpoint-settings.ts";
import { parseNetworkMode } from "./network-mode.ts";
import { type ContainerRecord, isAlive } from "./record.ts";
import { currentEndpoints, emitNetwork, endpointRequest, hasEndpoints } from "./start/endpoints.ts";
import { updateNetworkFiles } from "./start/network-files.ts";

/** `docker network connect` and `disconnect`: the record says what is wanted, a live container gets it at once. */
export class ContainerConnections {
  readonly #context: ContainerContext;
  constructor(context: ContainerContext) {
    this.#context = context;
  }

  assertExists(reference: string): void {
    this.#context.store.resolve(reference);
  }

  async connect(network: Network, reference: string, settings: EndpointSettings = {}): Promise<void> {
    const context = this.#context;
    const { id } = context.store.resolve(reference);
    await context.locks.run(id, async () => {
      const record = context.store.resolve(id);
      refuseConnect(record, network);
      checkEndpointSettings(network.name, network, settings);
      const networks = { ...record.definition.networks, [network.name]: settings };
      if (!isAlive(record)) {
        context.store.setDefinition(id, { networks });
        return;
      }
      await plug(context, record, network, settings);
      const endpoints = currentEndpoints(context, record);
      context.store.setState(id, { endpoints });
      await this.#updateFiles(record, Object.values(endpoints));
      context.store.setDefinition(id, { networks });
      emitNetwork(context, network, record, "connect");
    });
  }

  async disconnect(network: Network, reference: string, options: { readonly force: boolean }): Promise<void> {
    const context = this.#context;
    let record: ContainerRecord;
    try {
      record = context.store.resolve(reference);
    } catch (error) {
      if (!options.force || !isCode(error, "not-found")) throw error;
      await this.#forget(network, reference);
      return;
    }
    await context.locks.run(record.id, async () => {
      const now = context.store.resolve(record.id);
      const kind = parseNetworkMode(now.definition.host.NetworkMode).kind;
      if (kind === "host" && network.driver === "host") {
        throw invalid("container cannot be disconnected from host network or connected to host network");
      }
      if (!(network.name in now.definition.networks)) {
        throw new TugError("forbidden", `container ${now.id} is not connected to network ${network.name}`);
      }
      const endpoint = now.state.endpoints[network.name];
      if (endpoint) {
        await context.networks.detach(endpoint);
        await context.networks.release(endpoint);
      }
      const endpoints = currentEndpoints(context, now);
      const { [network.name]: _gone, ...networks } = now.definition.networks;
      context.store.setState(now.id, { endpoints });
      if (isAlive(now)) await this.#updateFiles(now, Object.values(endpoints));
      context.store.setDefinition(now.id, { networks });
      emitNetwork(context, network, now, "disconnect");
    });
  }

  /** The container is on its networks already: files that cannot be written are a pity, not a failure. */
  async #updateFiles(record: ContainerRecord, after: readonly Endpoint[]): Promise<void> {
    try {
      await updateNetworkFiles(this.#context, record, Object.values(record.state.endpoints), after);
    } catch (error) {
      this.#context.log.warn("updating hosts and resolv.conf", { id: record.id, error: messageOf(error) });
    }
  }

  /** A forced disconnect of a container nobody knows any more. */
  async #forget(network: Network, reference: string): Promise<void> {
    const { networks } = this.#context;
    const stale = networks
      .endpoints(network.id)
      .filter((one) => one.containerId.startsWith(reference) || one.containerName === reference);
    if (stale.length === 0) throw notFound(`No such container: ${reference}`);
    for (const endpoint of stale) {
      await networks.detach(endpoint);
      await networks.release(endpoint);
    }
  }
}

function refuseConnect(record: ContainerRecord, network: Network): void {
  const mode = parseNetworkMode(record.definition.host.NetworkMode);
  if (record.state.status === "removing" || record.state.status === "dead") {
    throw conflict(`container ${record.id} is marked for removal and cannot be connected to a network`);
  }
  if (mode.kind === "host" || network.driver === "host") {
    throw invalid("container cannot be disconnected from host network or connected to host network");
  }
  if (mode.kind === "container") {
    throw invalid(
      "container sharing network namespace with another container or host cannot be connected to any other network",
    );
  }
  if (mode.kind === "none" || (network.driver === "null" && !network.configOnly)) {
    throw invalid(
      "container cannot be connected to multiple networks with one of the networks in private (none) mode",
    );
  }
  if (network.name in record.definition.networks) {
    throw new TugError(
      "forbidden",
      `endpoint with name ${record.name} already exists in network ${network.name}`,
    );
  }
}

async function plug(
  context: ContainerContext,
  record: ContainerRecord,
  network: Network,
  settings: EndpointSettings,
): Promise<Endpoint> {
  if (!hasEndpoints(network)) throw invalid(`network ${network.name} cannot be joined`);
  const allocated = await context.networks.allocate(
    endpointRequest(context, record, network, settings, Object.keys(record.state.endpoints).length === 0),
  );
  try {
    return await context.networks.attach(allocated, { containerId: record.id, pid: record.state.pid });
  } catch (error) {
    await context.networks
      .release(allocated)
      .catch((cause: unknown) =>
        context.log.warn("giving an address back", { id: record.id, error: messageOf(cause) }),
      );
    throw error;
  }
}
