import { randomBytes } from "node:crypto";
import { invalid } from "../../base/lib/errors.ts";
import { shortId } from "../../base/lib/ids.ts";
import { type IpAddress, ipBytes, parseIp } from "../../base/lib/ip.ts";
import type { EndpointRequest } from "./network.ts";
import type { EndpointRecord } from "./records.ts";
import type { InterfaceAddress } from "./sandbox.ts";

/** The addresses of an endpoint as its interface gets them. */
export function interfaceAddresses(endpoint: EndpointRecord): readonly InterfaceAddress[] {
  return [
    [endpoint.ipv4, endpoint.ipv4PrefixLength] as const,
    [endpoint.ipv6, endpoint.ipv6PrefixLength] as const,
  ].flatMap(([text, prefixLength]) => {
    const address = text === "" ? undefined : parseIp(text);
    return address ? [{ address, prefixLength }] : [];
  });
}

/** `--network name=x,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,...` */
export function interfaceSysctls(endpoint: EndpointRecord): Readonly<Record<string, string>> {
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
export function dnsNames(request: EndpointRequest): readonly string[] {
  const names = [request.containerName, ...request.aliases, shortId(request.containerId)];
  if (request.hostname !== "") names.push(request.hostname);
  return [...new Set(names.filter((name) => name !== ""))];
}

/** From the address, so that a neighbour's ARP cache stays right when an address is used again; random without one. */
export function macOf(address: IpAddress | undefined): string {
  const tail = address ? ipBytes(address) : randomBytes(4);
  return [0x02, 0x42, ...tail].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
