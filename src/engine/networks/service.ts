import type { Clock } from "../../base/lib/clock.ts";
import { codeOf, conflict, invalid, isCode, messageOf, TugError } from "../../base/lib/errors.ts";
import { parseRfc3339 } from "../../base/lib/timestamp.ts";
import type {
  EndpointSettings,
  NetworkCreateResponse,
  NetworkInspect,
} from "../../base/spec/docker/api.gen.ts";
import type { NetworkCreateRequest } from "../../base/spec/docker/requests.ts";
import type { Network, NetworkService as Networks } from "../../core/network/network.ts";
import type { EventPublisher } from "../events/event.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import { networkSpec } from "./spec.ts";
import { wireNetwork } from "./wire.ts";

/** The container's side of connect and disconnect; it also publishes those two events, as it does at start and stop. */
export interface NetworkContainers {
  /** Throws not-found in Docker's words. */
  assertExists(container: string): void;
  connect(network: Network, container: string, settings: EndpointSettings | undefined): Promise<void>;
  disconnect(network: Network, container: string, options: { readonly force: boolean }): Promise<void>;
}

export interface NetworkServiceDeps {
  readonly networks: Networks;
  readonly containers: NetworkContainers;
  /** Options of new networks that say nothing of them, by driver (dockerd's default-network-opts). */
  readonly defaultOptions?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly events: EventPublisher;
  readonly clock: Clock;
}

/** Networks as the API has them. */
export class NetworkService {
  readonly #deps: NetworkServiceDeps;

  constructor(deps: NetworkServiceDeps) {
    this.#deps = deps;
  }

  async list(wire: WireFilters): Promise<readonly NetworkInspect[]> {
    const filters = Filters.parse(wire, [
      "dangling",
      "driver",
      "id",
      "label",
      "label!",
      "name",
      "scope",
      "type",
    ]);
    const dangling = filters.has("dangling") ? filters.bool("dangling", false) : undefined;
    for (const type of filters.get("type")) {
      if (type !== "builtin" && type !== "custom") throw invalid(`invalid filter: 'type'='${type}'`);
    }
    return this.#deps.networks
      .list()
      .filter(
        (network) =>
          filters.match("name", network.name) &&
          filters.match("id", network.id) &&
          filters.exact("driver", network.driver) &&
          filters.exact("scope", network.scope) &&
          filters.exact("type", network.predefined ? "builtin" : "custom") &&
          filters.matchLabels("label", network.labels) &&
          filters.excludesLabels("label!", network.labels) &&
          (dangling === undefined || (!network.predefined && this.#used(network) !== dangling)),
      )
      .map((network) => wireNetwork(network, []));
  }

  async create(request: NetworkCreateRequest): Promise<NetworkCreateResponse> {
    const asked = networkSpec(request);
    const defaults = asked.configFrom === undefined ? this.#deps.defaultOptions?.[asked.driver] : undefined;
    const spec = { ...asked, options: { ...defaults, ...asked.options } };
    if (this.#deps.networks.list().some((network) => network.name === spec.name)) {
      throw conflict(`network with name ${spec.name} already exists`);
    }
    const network = await this.#deps.networks.create(spec);
    this.#publish("create", network);
    return { Id: network.id, Warning: "" };
  }

  async inspect(
    nameOrId: string,
    options: { readonly verbose: boolean; readonly scope: string | undefined },
  ): Promise<NetworkInspect> {
    const network = this.#deps.networks.resolve(nameOrId);
    if (options.scope !== undefined && options.scope !== "" && options.scope !== network.scope) {
      throw new TugError("not-found", `network ${nameOrId} not found`);
    }
    return wireNetwork(network, this.#deps.networks.endpoints(network.id));
  }

  async remove(nameOrId: string): Promise<void> {
    const network = this.#deps.networks.resolve(nameOrId);
    if (network.predefined) {
      throw new TugError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
    }
    try {
      await this.#deps.networks.remove(network.id);
    } catch (error) {
      // Docker answers 403 to a network in use, with this prefix.
      if (codeOf(error) !== "conflict") throw error;
      const text = messageOf(error).replace(/^error while removing network: /, "");
      throw new TugError("forbidden", `error while removing network: ${text}`, { cause: error });
    }
    this.#publish("destroy", network);
  }

  async connect(nameOrId: string, container: string, settings: EndpointSettings | undefined): Promise<void> {
    // dockerd looks for the container first.
    this.#deps.containers.assertExists(container);
    await this.#deps.containers.connect(this.#deps.networks.resolve(nameOrId), container, settings);
  }

  async disconnect(nameOrId: string, container: string, options: { readonly force: boolean }): Promise<void> {
    await this.#deps.containers.disconnect(this.#deps.networks.resolve(nameOrId), container, options);
  }

  async prune(wire: WireFilters): Promise<{ readonly NetworksDeleted: readonly string[] | null }> {
    const filters = Filters.parse(wire, ["label", "label!", "until"]);
    const until = filters.timestamp("until", this.#deps.clock.now());
    const deleted: string[] = [];
    for (const network of this.#deps.networks.list()) {
      if (network.predefined || network.configOnly || this.#used(network)) continue;
      if (until !== undefined && (parseRfc3339(network.created) ?? 0n) > until) continue;
      if (!filters.matchLabels("label", network.labels) || !filters.excludesLabels("label!", network.labels))
        continue;
      try {
        await this.remove(network.id);
      } catch (error) {
        // Taken into use, or removed by somebody else, since it was listed.
        if (isCode(error, "forbidden") || isCode(error, "not-found")) continue;
        throw error;
      }
      deleted.push(network.name);
    }
    this.#deps.events.publish({ type: "network", action: "prune", id: "", attributes: { reclaimed: "0" } });
    return { NetworksDeleted: deleted.length === 0 ? null : deleted };
  }

  #used(network: Network): boolean {
    return this.#deps.networks.endpoints(network.id).length > 0;
  }

  #publish(action: string, network: Network): void {
    this.#deps.events.publish({
      type: "network",
      action,
      id: network.id,
      attributes: { name: network.name, type: network.driver },
    });
  }
}
