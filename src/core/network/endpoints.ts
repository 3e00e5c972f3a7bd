import { randomBytes } from "node:crypto";
import { conflict, invalid, TugError } from "../../base/lib/errors.ts";
import { randomId, shortId } from "../../base/lib/ids.ts";
import { formatIp, parseIp } from "../../base/lib/ip.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { isCurrentNamespace, type NetworkNamespace, openNetworkNamespace } from "../../base/sys/net/netns.ts";
import { identify, isAlive, type ProcessIdentity } from "../../base/sys/process/pidfd.ts";
import { type Allocation, chooseAddress } from "./addresses/ipam.ts";
import { addressOf, byGatewayRank } from "./carriers.ts";
import { dnsNames, interfaceAddresses, interfaceSysctls, macOf } from "./endpoint-parts.ts";
import { lockHost } from "./host-lock.ts";
import type { EndpointRequest, PortPublication, Sandbox } from "./network.ts";
import { interfacePrefix, isInterfaceName } from "./options.ts";
import { Publisher, type PublisherDeps } from "./publisher.ts";
import type { EndpointRecord } from "./records.ts";
import { SandboxNetwork } from "./sandbox.ts";

export type EndpointDeps = PublisherDeps;

/** Endpoints: addresses, links and published ports. Synchronous throughout: no two operations ever interleave. */
export class Endpoints {
  readonly #deps: EndpointDeps;
  readonly #publisher: Publisher;

  constructor(deps: EndpointDeps) {
    this.#deps = deps;
    this.#publisher = new Publisher(deps);
  }

  allocate(request: EndpointRequest): EndpointRecord {
    const { records, catalog } = this.#deps;
    const network = catalog.get(request.network);
    if (network.configOnly) {
      throw new TugError("forbidden", "cannot create endpoint on configuration-only network");
    }
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
      ipv4Gateway: v4?.pool.router ? formatIp(v4.pool.router) : "",
      ipv6: v6 ? formatIp(v6.address) : "",
      ipv6PrefixLength: v6?.pool.subnet.length ?? 0,
      ipv6Gateway: v6?.pool.router ? formatIp(v6.pool.router) : "",
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
      startTime: "",
    };
    records.putEndpoint(endpoint);
    return endpoint;
  }

  attach(id: string, sandbox: Sandbox): EndpointRecord {
    const { catalog, log } = this.#deps;
    const endpoint = this.#get(id);
    if (endpoint.attached) throw conflict(`endpoint ${shortId(id)} is attached already`);
    const network = catalog.get(endpoint.network);
    const driver = catalog.driver(network);
    if (network.driver === "host") return this.#put({ ...endpoint, attached: true, pid: sandbox.pid });
    const process = identify(sandbox.pid);
    using netns = openNamespace(sandbox, process);
    using inside = new SandboxNetwork(netns.fd);
    if (driver.addressless) {
      inside.loopbackUp();
      return this.#put({ ...endpoint, attached: true, pid: sandbox.pid });
    }
    const hostInterface = `veth${randomBytes(4).toString("hex").slice(0, 7)}`;
    const containerInterface =
      endpoint.driverOptions["com.docker.network.endpoint.ifname"] ||
      inside.nextInterface(interfacePrefix(network));
    const plugged: EndpointRecord = {
      ...endpoint,
      attached: true,
      pid: sandbox.pid,
      startTime: process?.startTime ?? "",
      hostInterface,
      containerInterface,
    };
    const before = this.#siblings(endpoint);
    using _lock = this.#lockFor([...before, plugged]);
    const after = this.#publisher.distribute([...before, plugged]);
    const attached = after.find((one) => one.id === id) ?? plugged;
    // The record first: a daemon that dies in the next lines leaves a veth that its successor knows of.
    for (const one of after) this.#put(one);
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
      this.#publisher.change(before, after);
    } catch (error) {
      for (const one of [...before, endpoint]) this.#put(one);
      try {
        driver.removeLink(network, { hostName: hostInterface }, false);
        this.#route(inside, endpoint.containerId);
        this.#publisher.change(after, before);
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
    const netns = endpoint.hostInterface === "" ? undefined : openIfAlive(endpoint);
    try {
      // Host side first, record last: what is interrupted is done again.
      this.#unpublish(endpoint, netns !== undefined);
      if (endpoint.hostInterface !== "") {
        const driver = catalog.driver(network);
        driver.removeLink(network, { hostName: endpoint.hostInterface }, netns === undefined);
        this.#put(detached);
        if (netns) {
          using inside = new SandboxNetwork(netns.fd);
          inside.deleteInterface(endpoint.containerInterface);
          this.#route(inside, endpoint.containerId);
        }
      }
    } finally {
      netns?.[Symbol.dispose]();
    }
    this.#put(detached);
  }

  /** Takes an endpoint's publications out of force. Of a container that lives on, another endpoint carries them from now on. */
  #unpublish(endpoint: EndpointRecord, lives: boolean): void {
    const siblings = this.#siblings(endpoint);
    const rest: EndpointRecord = { ...endpoint, ports: [] };
    let after: readonly EndpointRecord[] = [...siblings, rest];
    if (lives && endpoint.ports.length > 0) {
      try {
        after = [
          ...this.#publisher.distribute([...siblings, { ...endpoint, attached: false }]).slice(0, -1),
          rest,
        ];
      } catch (error) {
        this.#deps.log.warn("ports cannot move to another network", {
          container: endpoint.containerId,
          error,
        });
      }
    }
    for (const one of after) this.#put(one);
    this.#publisher.change([...siblings, endpoint], after);
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

  /** Changes what the container of this endpoint publishes; refused as a whole, or done as a whole. */
  publish(id: string, requested: readonly PortPublication[]): EndpointRecord {
    const { records } = this.#deps;
    const before = records.ofContainer(this.#get(id).containerId);
    const wanted = before.map((one) => ({ ...one, requestedPorts: requested }));
    using _lock = this.#lockFor(wanted);
    const after = this.#publisher.distribute(wanted);
    for (const one of after) this.#put(one);
    try {
      this.#publisher.change(before, after);
    } catch (error) {
      for (const one of before) this.#put(one);
      throw error;
    }
    return this.#get(id);
  }

  /** Held while ports are chosen for these and until they are published; nothing where there is none to choose. */
  #lockFor(endpoints: readonly EndpointRecord[]): Disposable | undefined {
    return endpoints.some((one) => one.requestedPorts.length > 0) ? lockHost(this.#deps.log) : undefined;
  }

  /** The other attached endpoints of its container. */
  #siblings(endpoint: EndpointRecord): readonly EndpointRecord[] {
    return this.#deps.records
      .ofContainer(endpoint.containerId)
      .filter((one) => one.id !== endpoint.id && one.attached);
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

  /** The default route belongs to the endpoint of highest priority; of equals to one that is not internal, then by network name. */
  #route(inside: SandboxNetwork, containerId: string): void {
    const { records, catalog } = this.#deps;
    const candidates = records
      .ofContainer(containerId)
      .filter((endpoint) => endpoint.attached && endpoint.containerInterface !== "")
      .map((endpoint) => ({ endpoint, network: catalog.get(endpoint.network) }))
      .filter(({ network }) => !network.internal);
    for (const family of [4, 6] as const) {
      const gatewayOf = (endpoint: EndpointRecord) =>
        family === 4 ? endpoint.ipv4Gateway : endpoint.ipv6Gateway;
      const best = candidates
        .filter(({ endpoint, network }) =>
          catalog.driver(network).routesByInterface(network)
            ? addressOf(endpoint, family) !== ""
            : gatewayOf(endpoint) !== "",
        )
        .sort(byGatewayRank)[0];
      const byInterface = best && catalog.driver(best.network).routesByInterface(best.network);
      const gateway = best && !byInterface ? parseIp(gatewayOf(best.endpoint)) : undefined;
      inside.setDefaultRoute(family, best && { name: best.endpoint.containerInterface, gateway });
    }
  }
}

function openNamespace(sandbox: Sandbox, process: ProcessIdentity | undefined): NetworkNamespace {
  const gone = (cause?: unknown) =>
    new TugError(
      "internal",
      `container ${shortId(sandbox.containerId)} ended before its network was set up`,
      { cause },
    );
  if (!process) throw gone();
  let netns: NetworkNamespace;
  try {
    netns = openNetworkNamespace(sandbox.pid);
  } catch (error) {
    throw gone(error);
  }
  if (isCurrentNamespace(netns.fd)) {
    netns[Symbol.dispose]();
    throw new TugError(
      "internal",
      `container ${shortId(sandbox.containerId)} has no network namespace of its own`,
    );
  }
  return netns;
}

/**
 * Undefined when the process, and so its namespace, is gone. Looked at again after opening: a pid that was given to somebody else
 * meanwhile would lead into his network.
 */
function openIfAlive(process: ProcessIdentity): NetworkNamespace | undefined {
  if (process.pid === 0 || !isAlive(process)) return undefined;
  let netns: NetworkNamespace;
  try {
    netns = openNetworkNamespace(process.pid);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
  if (isAlive(process) && !isCurrentNamespace(netns.fd)) return netns;
  netns[Symbol.dispose]();
  return undefined;
}
