import { randomBytes } from "node:crypto";
import { conflict, invalid, TugError } from "../../base/lib/errors.ts";
import { randomId, shortId } from "../../base/lib/ids.ts";
import { formatIp, type IpAddress, ipBytes, parseIp } from "../../base/lib/ip.ts";
import type { Log } from "../../base/lib/log.ts";
import { probeBind } from "../../base/sys/bind-probe.ts";
import { SystemError } from "../../base/sys/libc.ts";
import type { NetlinkSocket } from "../../base/sys/netlink.ts";
import { forgetUdpFlows, isUntracked } from "../../base/sys/netlink-conntrack.ts";
import { type NetworkNamespace, openNetworkNamespace } from "../../base/sys/netns.ts";
import type { NetworkCatalog } from "./catalog.ts";
import { noElements, publishElements } from "./firewall.ts";
import type { Firewall } from "./firewall-apply.ts";
import { type Allocation, chooseAddress } from "./ipam.ts";
import type { EndpointRequest, Network, PortPublication, Sandbox } from "./network.ts";
import { hostBinding, interfacePrefix, isInterfaceName } from "./options.ts";
import { planPorts, type TakenPort } from "./ports.ts";
import type { EndpointRecord, NetworkRecords } from "./records.ts";
import { type InterfaceAddress, SandboxNetwork } from "./sandbox.ts";

export interface EndpointDeps {
  readonly records: NetworkRecords;
  readonly catalog: NetworkCatalog;
  readonly firewall: Firewall;
  readonly conntrack: NetlinkSocket;
  readonly log: Log;
  readonly defaultHostIp: string;
}

/** Endpoints: addresses, links and published ports. Synchronous throughout: no two operations ever interleave. */
export class Endpoints {
  readonly #deps: EndpointDeps;
  #nextEphemeral = 0;

  constructor(deps: EndpointDeps) {
    this.#deps = deps;
  }

  allocate(request: EndpointRequest): EndpointRecord {
    const { records, catalog } = this.#deps;
    const network = catalog.get(request.network);
    const driver = catalog.driver(network);
    const before = records.ofNetwork(network.id).find((one) => one.containerId === request.containerId);
    if (before?.attached) {
      throw new TugError(
        "forbidden",
        `endpoint with name ${request.containerName} already exists in network ${network.name}`,
      );
    }
    const interfaceName = request.driverOptions?.["com.docker.network.endpoint.ifname"];
    if (interfaceName && !isInterfaceName(interfaceName)) {
      throw invalid(`invalid interface name "${interfaceName}" in com.docker.network.endpoint.ifname`);
    }
    // A start that was cut short left its reservation: the new one takes its place.
    if (before) records.deleteEndpoint(before.id);
    const others = records.ofNetwork(network.id);
    if (request.mac !== undefined && !/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(request.mac)) {
      throw invalid(`invalid MAC address: ${request.mac}`);
    }
    if (network.predefined && (request.ipv4 !== undefined || request.ipv6 !== undefined)) {
      throw invalid("user specified IP address is supported on user defined networks only");
    }
    const choose = (family: 4 | 6, wanted: string | undefined): Allocation | undefined => {
      if (driver.addressless || !(family === 4 ? network.enableIPv4 : network.enableIPv6)) {
        if (wanted === undefined) return undefined;
        throw invalid(`network ${network.name} has no IPv${family} addresses`);
      }
      const used = new Set(others.map((one) => (family === 4 ? one.ipv4 : one.ipv6)));
      return chooseAddress(network, family, used, wanted);
    };
    const v4 = choose(4, request.ipv4);
    const v6 = choose(6, request.ipv6);
    const endpoint: EndpointRecord = {
      id: randomId(),
      network: network.id,
      containerId: request.containerId,
      containerName: request.containerName,
      hostname: request.hostname,
      aliases: request.aliases,
      dnsNames: dnsNames(request),
      mac: driver.addressless ? "" : (request.mac?.toLowerCase().replaceAll("-", ":") ?? macOf(v4?.address)),
      ipv4: v4 ? formatIp(v4.address) : "",
      ipv4PrefixLength: v4?.pool.subnet.length ?? 0,
      ipv4Gateway: v4?.pool.gateway ? formatIp(v4.pool.gateway) : "",
      ipv6: v6 ? formatIp(v6.address) : "",
      ipv6PrefixLength: v6?.pool.subnet.length ?? 0,
      ipv6Gateway: v6?.pool.gateway ? formatIp(v6.pool.gateway) : "",
      ports: [],
      requestedPorts: request.ports,
      attached: false,
      driverOptions: request.driverOptions ?? {},
      links: request.links ?? {},
      dns: request.dns ?? { servers: [], options: [], search: [] },
      gatewayPriority: request.gatewayPriority ?? 0,
      hostInterface: "",
      containerInterface: "",
      pid: 0,
    };
    records.putEndpoint(endpoint);
    return endpoint;
  }

  attach(id: string, sandbox: Sandbox): EndpointRecord {
    const { records, catalog, log } = this.#deps;
    const endpoint = this.#get(id);
    if (endpoint.attached) throw conflict(`endpoint ${shortId(id)} is attached already`);
    const network = catalog.get(endpoint.network);
    const driver = catalog.driver(network);
    if (network.driver === "host") return this.#put({ ...endpoint, attached: true, pid: sandbox.pid });
    const ports = driver.publishes && !network.internal ? this.#planPorts(endpoint, network) : [];
    using netns = openNamespace(sandbox);
    using inside = new SandboxNetwork(netns.fd);
    if (driver.addressless) {
      inside.loopbackUp();
      return this.#put({ ...endpoint, attached: true, pid: sandbox.pid });
    }
    const hostInterface = `veth${randomBytes(4).toString("hex").slice(0, 7)}`;
    const containerInterface =
      endpoint.driverOptions["com.docker.network.endpoint.ifname"] ||
      inside.nextInterface(interfacePrefix(network));
    const attached: EndpointRecord = {
      ...endpoint,
      ports,
      attached: true,
      pid: sandbox.pid,
      hostInterface,
      containerInterface,
    };
    // The record first: a daemon that dies in the next lines leaves a veth that its successor knows of.
    this.#put(attached);
    try {
      driver.createLink(network, {
        hostName: hostInterface,
        containerName: containerInterface,
        mac: endpoint.mac,
        netns: netns.fd,
        endpoint,
      });
      inside.configure(containerInterface, interfaceAddresses(attached), interfaceSysctls(attached));
      this.#route(inside, endpoint.containerId);
      this.#change(undefined, attached);
    } catch (error) {
      records.putEndpoint(endpoint);
      try {
        driver.removeLink(network, { hostName: hostInterface }, false);
        this.#change(attached, undefined);
      } catch (cleanup) {
        log.warn("half-made endpoint not removed", { endpoint: id, error: cleanup });
      }
      throw error;
    }
    return attached;
  }

  detach(id: string): void {
    const { records, catalog } = this.#deps;
    const endpoint = records.endpoints.get(id);
    if (!endpoint?.attached) return;
    const network = catalog.get(endpoint.network);
    const detached: EndpointRecord = {
      ...endpoint,
      ports: [],
      attached: false,
      pid: 0,
      hostInterface: "",
      containerInterface: "",
    };
    // Host side first, record last: what is interrupted is done again.
    const rest: EndpointRecord = { ...endpoint, ports: [] };
    this.#put(rest);
    this.#change(endpoint, undefined);
    if (endpoint.hostInterface !== "") {
      const netns = openIfAlive(endpoint.pid);
      try {
        const driver = catalog.driver(network);
        driver.removeLink(network, { hostName: endpoint.hostInterface }, netns === undefined);
        this.#put(detached);
        if (netns) {
          using inside = new SandboxNetwork(netns.fd);
          inside.deleteInterface(endpoint.containerInterface);
          this.#route(inside, endpoint.containerId);
        }
      } finally {
        netns?.[Symbol.dispose]();
      }
    }
    this.#put(detached);
  }

  release(id: string): void {
    this.detach(id);
    this.#deps.records.deleteEndpoint(id);
  }

  /** True when the container has endpoints that are attached. */
  rename(containerId: string, name: string): boolean {
    let attached = false;
    for (const endpoint of this.#deps.records.ofContainer(containerId)) {
      const dnsNames = endpoint.dnsNames.map((one) => (one === endpoint.containerName ? name : one));
      this.#put({ ...endpoint, containerName: name, dnsNames: [...new Set(dnsNames)] });
      attached ||= endpoint.attached;
    }
    return attached;
  }

  publish(id: string, requested: readonly PortPublication[]): EndpointRecord {
    const before = this.#get(id);
    const network = this.#deps.catalog.get(before.network);
    if (!before.attached) return this.#put({ ...before, requestedPorts: requested });
    const publishes = this.#deps.catalog.driver(network).publishes && !network.internal;
    const ports = publishes ? this.#planPorts({ ...before, requestedPorts: requested }, network) : [];
    const after = this.#put({ ...before, ports, requestedPorts: requested });
    try {
      this.#change(before, after);
    } catch (error) {
      this.#put(before);
      throw error;
    }
    return after;
  }

  #get(id: string): EndpointRecord {
    const endpoint = this.#deps.records.endpoints.get(id);
    if (!endpoint) throw new TugError("not-found", `endpoint ${id} not found`);
    return endpoint;
  }

  #put(endpoint: EndpointRecord): EndpointRecord {
    this.#deps.records.putEndpoint(endpoint);
    return endpoint;
  }

  /** Publications of an endpoint come, go or change. */
  #change(before: EndpointRecord | undefined, after: EndpointRecord | undefined): void {
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

  #planPorts(endpoint: EndpointRecord, network: Network): readonly PortPublication[] {
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

  /** The default route belongs to the endpoint of highest priority; of equals to one that is not internal, then by network name. */
  #route(inside: SandboxNetwork, containerId: string): void {
    const { records, catalog } = this.#deps;
    const candidates = records
      .ofContainer(containerId)
      .filter((endpoint) => endpoint.attached && endpoint.containerInterface !== "")
      .map((endpoint) => ({ endpoint, network: catalog.get(endpoint.network) }))
      .filter(({ network }) => !network.internal);
    for (const family of [4, 6] as const) {
      const addressOf = (endpoint: EndpointRecord) => (family === 4 ? endpoint.ipv4 : endpoint.ipv6);
      const gatewayOf = (endpoint: EndpointRecord) =>
        family === 4 ? endpoint.ipv4Gateway : endpoint.ipv6Gateway;
      const best = candidates
        .filter(({ endpoint, network }) =>
          catalog.driver(network).routesByInterface(network)
            ? addressOf(endpoint) !== ""
            : gatewayOf(endpoint) !== "",
        )
        .sort(
          (a, b) =>
            b.endpoint.gatewayPriority - a.endpoint.gatewayPriority ||
            (a.network.name < b.network.name ? -1 : 1),
        )[0];
      const byInterface = best && catalog.driver(best.network).routesByInterface(best.network);
      const gateway = best && !byInterface ? parseIp(gatewayOf(best.endpoint)) : undefined;
      inside.setDefaultRoute(family, best && { name: best.endpoint.containerInterface, gateway });
    }
  }
}

function interfaceAddresses(endpoint: EndpointRecord): readonly InterfaceAddress[] {
  return [
    [endpoint.ipv4, endpoint.ipv4PrefixLength] as const,
    [endpoint.ipv6, endpoint.ipv6PrefixLength] as const,
  ].flatMap(([text, prefixLength]) => {
    const address = text === "" ? undefined : parseIp(text);
    return address ? [{ address, prefixLength }] : [];
  });
}

/** `--network name=x,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,...` */
function interfaceSysctls(endpoint: EndpointRecord): Readonly<Record<string, string>> {
  const text = endpoint.driverOptions["com.docker.network.endpoint.sysctls"];
  if (!text) return {};
  const result: Record<string, string> = {};
  for (const one of text.split(",")) {
    const match = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.([a-z0-9_]+)=([\w .-]+)$/.exec(one.trim());
    if (!match)
      throw invalid(
        `unable to parse sysctl ${one}: it must be net.<family>.<conf|neigh>.IFNAME.<name>=<value>`,
      );
    result[`net/${match[1]}/${match[2]}/${endpoint.containerInterface}/${match[3]}`] = match[4] ?? "";
  }
  return result;
}

/** What DNS answers for this container: name, aliases, short id, and a hostname that was set (Docker's order). */
function dnsNames(request: EndpointRequest): readonly string[] {
  const names = [request.containerName, ...request.aliases, shortId(request.containerId)];
  if (request.hostname !== "") names.push(request.hostname);
  return [...new Set(names.filter((name) => name !== ""))];
}

/** From the address, so that a neighbour's ARP cache stays right when an address is used again; random without one. */
function macOf(address: IpAddress | undefined): string {
  const tail = address ? ipBytes(address) : randomBytes(4);
  return [0x02, 0x42, ...tail].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function openNamespace(sandbox: Sandbox): NetworkNamespace {
  try {
    return openNetworkNamespace(sandbox.pid);
  } catch (error) {
    throw new TugError(
      "internal",
      `container ${shortId(sandbox.containerId)} ended before its network was set up`,
      {
        cause: error,
      },
    );
  }
}

/** Undefined when the process, and so its namespace, is gone. */
function openIfAlive(pid: number): NetworkNamespace | undefined {
  if (pid === 0) return undefined;
  try {
    return openNetworkNamespace(pid);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
