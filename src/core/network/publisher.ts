import { ipBytes, parseIp } from "../../base/lib/ip.ts";
import type { Log } from "../../base/lib/log.ts";
import { probeBind } from "../../base/sys/net/bind-probe.ts";
import { forgetUdpFlows, isUntracked } from "../../base/sys/net/conntrack.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import { carrierOf } from "./carriers.ts";
import type { NetworkCatalog } from "./catalog.ts";
import type { Firewall } from "./firewall/apply.ts";
import type { Elements } from "./firewall/firewall.ts";
import type { PortPublication } from "./network.ts";
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

/**
 * Published ports. They belong to the container; of its endpoints the one whose network provides the gateway carries them, for each
 * family, so that answers leave the way the questions came.
 */
export class Publisher {
  readonly #deps: PublisherDeps;
  #nextEphemeral = 0;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /**
   * All endpoints of a container with the ports that each is to publish. Throws Docker's words for a port that is taken; ports that the
   * container has already it keeps.
   */
  distribute(endpoints: readonly EndpointRecord[]): readonly EndpointRecord[] {
    const { catalog } = this.#deps;
    const requested = endpoints.find((one) => one.requestedPorts.length > 0)?.requestedPorts ?? [];
    const v4 = carrierOf(catalog, endpoints, 4);
    const v6 = carrierOf(catalog, endpoints, 6);
    const first = v4 ?? v6;
    const ports = first && requested.length > 0 ? this.#plan(endpoints, requested, v4, v6, first) : [];
    return endpoints.map((endpoint) => ({
      ...endpoint,
      ports: ports.filter((port) => {
        const carrier = port.hostIp.includes(":") ? v6 : v4;
        return carrier?.endpoint.id === endpoint.id;
      }),
    }));
  }

  /** Puts into force what changed between two states of a container's endpoints, in one transaction. Call it when the records say `after`. */
  change(before: readonly EndpointRecord[], after: readonly EndpointRecord[]): void {
    const elements = (endpoints: readonly EndpointRecord[]): Elements =>
      new Map(
        endpoints.flatMap((endpoint) => [
          ...this.#deps.firewall.elementsOf({
            ...endpoint,
            network: this.#deps.catalog.get(endpoint.network),
          }),
        ]),
      );
    this.#deps.firewall.change(elements(before), elements(after));
    const [old, now] = [udpPorts(before), udpPorts(after)];
    for (const family of [4, 6] as const) {
      const changed = [...old, ...now]
        .filter(([key, port]) => port.family === family && old.has(key) !== now.has(key))
        .map(([, { port }]) => port);
      this.#forgetFlows(family, new Set(changed));
    }
  }

  #forgetFlows(family: 4 | 6, ports: ReadonlySet<number>): void {
    try {
      forgetUdpFlows(this.#deps.conntrack, family, ports);
    } catch (error) {
      if (!isUntracked(error)) this.#deps.log.warn("UDP flows not forgotten", { ports: [...ports], error });
    }
  }

  #plan(
    endpoints: readonly EndpointRecord[],
    requested: readonly PortPublication[],
    v4: ReturnType<typeof carrierOf>,
    v6: ReturnType<typeof carrierOf>,
    first: NonNullable<ReturnType<typeof carrierOf>>,
  ): readonly PortPublication[] {
    const { records, firewall } = this.#deps;
    const { containerId } = first.endpoint;
    const taken: TakenPort[] = [...firewall.foreignPorts()];
    for (const other of records.endpoints.values()) {
      if (other.containerId === containerId) continue;
      for (const { protocol, hostIp, hostPort } of other.ports)
        if (hostPort !== undefined) taken.push({ protocol, hostIp, hostPort });
    }
    const kept = endpoints.flatMap((endpoint) => endpoint.ports);
    const own = new Set(kept.map((port) => `${port.protocol} ${port.hostIp} ${port.hostPort}`));
    const plan = planPorts({
      requested,
      kept,
      ipv4: v4 !== undefined,
      ipv6: v6 !== undefined,
      defaultHostIp: hostBinding(first.network) ?? this.#deps.defaultHostIp,
      taken,
      probe: (protocol, hostIp, port) => {
        // What is published here already is not bound by anybody else; asking again would be wrong for a changed set.
        if (own.has(`${protocol} ${hostIp} ${port}`)) return undefined;
        const address = parseIp(hostIp);
        return address ? probeBind(protocol, ipBytes(address), port) : "invalid address";
      },
      endpoint: `${first.endpoint.containerName} (${first.endpoint.id})`,
      ephemeralStart: this.#nextEphemeral,
    });
    this.#nextEphemeral = plan.nextEphemeral;
    return plan.ports;
  }
}

/** The UDP publications of a container, each with the endpoint it leads to. */
function udpPorts(
  endpoints: readonly EndpointRecord[],
): ReadonlyMap<string, { readonly family: 4 | 6; readonly port: number }> {
  const found = new Map<string, { readonly family: 4 | 6; readonly port: number }>();
  for (const endpoint of endpoints) {
    for (const { protocol, hostIp, hostPort } of endpoint.ports) {
      if (protocol !== "udp" || hostPort === undefined) continue;
      const family = hostIp.includes(":") ? 6 : 4;
      found.set(`${family} ${hostPort} ${endpoint.id}`, { family, port: hostPort });
    }
  }
  return found;
}
