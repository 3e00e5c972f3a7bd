import { ipBytes, parseIp } from "../../base/lib/ip.ts";
import type { Log } from "../../base/lib/log.ts";
import { probeBind } from "../../base/sys/bind-probe.ts";
import type { NetlinkSocket } from "../../base/sys/netlink.ts";
import { forgetUdpFlows, isUntracked } from "../../base/sys/netlink-conntrack.ts";
import type { NetworkCatalog } from "./catalog.ts";
import { noElements, publishElements } from "./firewall.ts";
import type { Firewall } from "./firewall-apply.ts";
import type { Network, PortPublication } from "./network.ts";
import { hostBinding } from "./options.ts";
import { planPorts, type TakenPort } from "./ports.ts";
import type { EndpointRecord, NetworkRecords } from "./records.ts";

export interface PublisherDeps {
  readonly records: NetworkRecords;
  readonly catalog: NetworkCatalog;
  readonly firewall: Firewall;
  /** A NETLINK_NETFILTER socket on the host's network. */
  readonly conntrack: NetlinkSocket;
  readonly log: Log;
  readonly defaultHostIp: string;
}

/** Published ports: which ones an endpoint gets, and putting them into force. */
export class Publisher {
  readonly #deps: PublisherDeps;
  #nextEphemeral = 0;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Publications of an endpoint come, go or change. */
  change(before: EndpointRecord | undefined, after: EndpointRecord | undefined): void {
    const elements = (endpoint: EndpointRecord | undefined) =>
      endpoint
        ? publishElements({ ...endpoint, network: this.#deps.catalog.get(endpoint.network) })
        : noElements;
    this.#deps.firewall.change(elements(before), elements(after));
    for (const [one, other] of [
      [before, after],
      [after, before],
    ] as const) {
      for (const port of one?.ports ?? []) {
        if (port.protocol !== "udp" || port.hostPort === undefined) continue;
        if (other?.ports.some((same) => same.protocol === "udp" && same.hostPort === port.hostPort)) continue;
        this.#forgetFlows(port.hostIp.includes(":") ? 6 : 4, port.hostPort);
      }
    }
  }

  #forgetFlows(family: 4 | 6, port: number): void {
    try {
      forgetUdpFlows(this.#deps.conntrack, family, port);
    } catch (error) {
      if (!isUntracked(error)) this.#deps.log.warn("UDP flows not forgotten", { port, error });
    }
  }

  /** The host ports an endpoint gets. Throws Docker's words for a port that is taken. */
  plan(endpoint: EndpointRecord, network: Network): readonly PortPublication[] {
    if (endpoint.requestedPorts.length === 0) return [];
    const taken: TakenPort[] = [...this.#deps.firewall.foreignPorts()];
    const own = new Set<string>();
    for (const other of this.#deps.records.endpoints.values()) {
      for (const port of other.ports) {
        if (port.hostPort === undefined) continue;
        if (other.id === endpoint.id) own.add(`${port.protocol} ${port.hostIp} ${port.hostPort}`);
        else taken.push({ protocol: port.protocol, hostIp: port.hostIp, hostPort: port.hostPort });
      }
    }
    // A container on several networks publishes through the first that was attached.
    const elsewhere = this.#deps.records
      .ofContainer(endpoint.containerId)
      .filter((other) => other.id !== endpoint.id)
      .flatMap((other) => other.ports);
    const requested = endpoint.requestedPorts.filter(
      (port) =>
        !elsewhere.some(
          (other) =>
            other.protocol === port.protocol &&
            other.containerPort === port.containerPort &&
            (port.hostPort === undefined || (other.hostPort ?? 0) >= port.hostPort) &&
            (port.hostPort === undefined || (other.hostPort ?? 0) <= (port.hostPortEnd ?? port.hostPort)),
        ),
    );
    const plan = planPorts({
      requested,
      kept: endpoint.ports,
      ipv4: endpoint.ipv4 !== "",
      ipv6: endpoint.ipv6 !== "",
      defaultHostIp: hostBinding(network) ?? this.#deps.defaultHostIp,
      taken,
      probe: (protocol, hostIp, port) => {
        // What is published here already is not bound by anybody else; asking again would be wrong for a changed set.
        if (own.has(`${protocol} ${hostIp} ${port}`)) return undefined;
        const address = parseIp(hostIp);
        return address ? probeBind(protocol, ipBytes(address), port) : "invalid address";
      },
      endpoint: `${endpoint.containerName} (${endpoint.id})`,
      ephemeralStart: this.#nextEphemeral,
    });
    this.#nextEphemeral = plan.nextEphemeral;
    return plan.ports;
  }
}
