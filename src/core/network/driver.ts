import type { Endpoint, Network, NetworkSpec } from "./network.ts";

/**
 * A network driver makes a kind of link: what a network needs on the host, and an interface inside a namespace for an
 * endpoint. Drivers are synchronous, hold no state (everything is derived from the records they are given) and every
 * method may be repeated. Addresses, routes inside the namespace, ports and names are not theirs.
 *
 * Example: `bridge.createNetwork(network)` makes the bridge; `bridge.createLink(network, link)` makes a veth pair, one end on the
 * bridge, the other in the namespace as `eth0`; the caller then gives it addresses.
 */
export interface NetworkDriver {
  readonly name: string;
  /** host and null: one network each, no addresses. */
  readonly addressless: boolean;
  /** Ports can be published on the host: the data plane passes through its own stack. */
  readonly publishes: boolean;
  /** The default route needs no gateway, only the interface (ipvlan in mode l3). */
  routesByInterface(network: Network): boolean;
  /** Throws invalid-argument for an option that cannot hold. Called before anything is made. */
  validate(spec: NetworkSpec): void;
  /** The interface on the host that the network stands on, if any. */
  hostInterface(network: Network): string | undefined;
  createNetwork(network: Network): void;
  removeNetwork(network: Network): void;
  /** Makes the links on the host be exactly these: strays go, and those that lost their place get it back. */
  reconcile(network: Network, hostInterfaces: ReadonlySet<string>): void;
  createLink(network: Network, link: LinkRequest): void;
  /** Takes the link out of service at once; `gone` says that its namespace is dying anyway and the kernel removes it. */
  removeLink(network: Network, link: LinkRecord, gone: boolean): void;
}

export interface LinkRequest {
  readonly hostName: string;
  readonly containerName: string;
  readonly mac: string;
  readonly netns: number;
  readonly endpoint: Endpoint;
}

export interface LinkRecord {
  readonly hostName: string;
}
