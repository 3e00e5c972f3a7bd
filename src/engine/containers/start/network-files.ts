import { readFile, writeFile } from "node:fs/promises";
import { hostname as hostHostname } from "node:os";
import { join } from "node:path";
import type { HostConfig } from "../../../base/spec/docker/api.gen.ts";
import type { Endpoint, Network } from "../../../core/network/network.ts";
import type { ContainerContext } from "../context.ts";
import type { ContainerRecord } from "../record.ts";

/** Paths of the three files a container sees in its /etc. */
export function networkFiles(directory: string): {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
} {
  return {
    hostname: join(directory, "hostname"),
    hosts: join(directory, "hosts"),
    resolvConf: join(directory, "resolv.conf"),
  };
}

/** Writes hostname, hosts and resolv.conf before the container is created. */
export async function writeNetworkFiles(
  context: ContainerContext,
  record: ContainerRecord,
  network: {
    readonly host: boolean;
    readonly endpoints: readonly Endpoint[];
    readonly networks: readonly Network[];
  },
): Promise<void> {
  const { config, host } = record.definition;
  const files = networkFiles(context.paths.dir(record.id));
  const name = network.host ? config.Hostname || hostHostname() : (config.Hostname ?? "");
  const extra = extraHosts(context, host);
  await Promise.all([
    writeFile(files.hostname, `${name}\n`, { mode: 0o644 }),
    writeFile(
      files.hosts,
      network.host && (host.ExtraHosts ?? []).length === 0
        ? await readHost("/etc/hosts")
        : hostsFile(name, config.Domainname ?? "", network.endpoints, linkHosts(context, record), extra),
      { mode: 0o644 },
    ),
    writeFile(
      files.resolvConf,
      resolvConf(await readHost("/etc/resolv.conf"), {
        resolver: network.host ? undefined : context.networks.resolverAddress(network.networks),
        shareHost: network.host,
        servers: pick(host.Dns, context.defaults.dns),
        options: pick(host.DnsOptions, context.defaults.dnsOptions),
        search: pick(host.DnsSearch, context.defaults.dnsSearch),
      }),
      { mode: 0o644 },
    ),
  ]);
}

function pick(own: readonly string[] | undefined, fallback: readonly string[]): readonly string[] {
  return own && own.length > 0 ? own : fallback;
}

async function readHost(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

type HostLine = readonly [ip: string, names: string];

/** `--add-host name:ip`; host-gateway is the address of the host as containers see it. */
function extraHosts(context: ContainerContext, host: HostConfig): readonly HostLine[] {
  const lines: HostLine[] = [];
  for (const entry of host.ExtraHosts ?? []) {
    const split = /^([^:=]+)[:=](.+)$/.exec(entry);
    const asked = (split?.[2] ?? "").replace(/^\[(.*)\]$/, "$1");
    const ip = asked === "host-gateway" ? context.defaults.hostGateway() : asked;
    if (split && ip) lines.push([ip, split[1] ?? ""]);
  }
  return lines;
}

/** Legacy links of the default bridge are lines in /etc/hosts; on user-defined networks the resolver answers them. */
function linkHosts(context: ContainerContext, record: ContainerRecord): readonly HostLine[] {
  if (record.definition.host.NetworkMode !== "bridge") return [];
  const lines: HostLine[] = [];
  for (const link of record.definition.host.Links ?? []) {
    const [container = "", alias = container] = link.split(":");
    const target = context.store.resolve(container);
    const ip = target.state.endpoints["bridge"]?.ipv4;
    if (!ip) continue;
    const names = new Set([alias, target.definition.config.Hostname ?? "", target.name]);
    lines.push([ip, [...names].filter(Boolean).join(" ")]);
  }
  return lines;
}

/** Pure: the content of /etc/hosts in dockerd's order. */
export function hostsFile(
  hostname: string,
  domainname: string,
  endpoints: readonly Endpoint[],
  links: readonly HostLine[],
  extra: readonly HostLine[],
): string {
  const lines: HostLine[] = [
    ["127.0.0.1", "localhost"],
    ["::1", "localhost ip6-localhost ip6-loopback"],
    ["fe00::", "ip6-localnet"],
    ["ff00::", "ip6-mcastprefix"],
    ["ff02::1", "ip6-allnodes"],
    ["ff02::2", "ip6-allrouters"],
    ...extra,
    ...links,
  ];
  const names = domainname ? `${hostname}.${domainname} ${hostname}` : hostname;
  for (const endpoint of endpoints) {
    for (const ip of [endpoint.ipv4, endpoint.ipv6]) if (ip && hostname) lines.push([ip, names]);
  }
  return `${lines.map(([ip, name]) => `${ip}\t${name}`).join("\n")}\n`;
}

/** Pure: resolv.conf from the host's, with what was asked for in its place. */
export function resolvConf(
  hostFile: string,
  wanted: {
    readonly resolver: string | undefined;
    readonly shareHost: boolean;
    readonly servers: readonly string[];
    readonly options: readonly string[];
    readonly search: readonly string[];
  },
): string {
  const hostServers: string[] = [];
  let search: readonly string[] = [];
  let options: readonly string[] = [];
  for (const line of hostFile.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0]) hostServers.push(rest[0]);
    if (word === "search" || word === "domain") search = rest;
    if (word === "options") options = rest;
  }
  // A server on the host's loopback cannot be reached from a namespace of its own.
  const reachable = wanted.shareHost ? hostServers : hostServers.filter((ip) => !isLoopback(ip));
  let servers: readonly string[] = wanted.servers.length > 0 ? wanted.servers : reachable;
  if (wanted.resolver !== undefined) servers = [wanted.resolver];
  else if (servers.length === 0 && !wanted.shareHost) servers = ["8.8.8.8", "8.8.4.4"];
  if (wanted.search.length > 0) search = wanted.search.filter((domain) => domain !== ".");
  if (wanted.options.length > 0) options = wanted.options;
  if (wanted.resolver !== undefined && !options.some((option) => option.startsWith("ndots:"))) {
    options = [...options, "ndots:0"];
  }
  const lines = servers.map((ip) => `nameserver ${ip}`);
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

function isLoopback(ip: string): boolean {
  return ip.startsWith("127.") || ip === "::1";
}
