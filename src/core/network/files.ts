import { isLoopback, parseIp } from "../../base/lib/ip.ts";
import type { Network } from "./network.ts";

/** The three network files of a container, as text; pure. resolv.conf(5), hosts(5). */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Reads a resolv.conf: as in the C library, the last `search` or `domain` line counts, options add up. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  const options: string[] = [];
  let search: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && values[0] !== undefined) nameservers.push(values[0]);
    else if (keyword === "search" || keyword === "domain") search = values;
    else if (keyword === "options") options.push(...values);
  }
  return { nameservers, search, options };
}

/** True when the host asks systemd-resolved alone; the servers behind it are in /run/systemd/resolve/resolv.conf. */
export function asksSystemdResolved(text: string): boolean {
  const { nameservers } = parseResolvConf(text);
  return nameservers.length > 0 && nameservers.every((server) => server === "127.0.0.53");
}

function format(conf: ResolvConf): string {
  const lines = conf.nameservers.map((server) => `nameserver ${server}`);
  // `--dns-search .` means no search domain at all.
  const search = conf.search.filter((domain) => domain !== ".");
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (conf.options.length > 0) lines.push(`options ${conf.options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

export interface ResolvConfInput {
  /** The host's file; of the real servers behind systemd-resolved where that runs (/run/systemd/resolve/resolv.conf). */
  readonly host: string;
  /** --dns, --dns-search, --dns-option; each replaces the host's when given. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  /** `NetworkService.resolverAddress`: the container asks the resolver of its networks. */
  readonly resolver?: string | undefined;
  /** The container shares the host's network: its loopback is the host's, so nothing is filtered. */
  readonly hostNetwork?: boolean;
  readonly ipv6?: boolean;
}

/** Servers of last resort when the host has none that a container can reach; Docker's choice. */
const publicServers = ["8.8.8.8", "8.8.4.4"];
const publicServersV6 = ["2001:4860:4860::8888", "2001:4860:4860::8844"];

/** /etc/resolv.conf of a container. */
export function resolvConf(input: ResolvConfInput): string {
  const host = parseResolvConf(input.host);
  const search = input.search.length > 0 ? input.search : host.search;
  const options = input.options.length > 0 ? input.options : host.options;
  if (input.resolver !== undefined) {
    // Names without a dot are container names: try them as they are before any search domain, unless the user decided.
    const withNdots = options.some((option) => option.startsWith("ndots:"))
      ? options
      : [...options, "ndots:0"];
    return format({ nameservers: [input.resolver], search, options: withNdots });
  }
  if (input.servers.length > 0) return format({ nameservers: input.servers, search, options });
  if (input.hostNetwork) return format({ nameservers: host.nameservers, search, options });
  const reachable = host.nameservers.filter((server) => {
    const address = parseIp(server.replace(/%.*$/, ""));
    if (!address || isLoopback(address)) return false;
    return address.family === 4 || (input.ipv6 ?? false);
  });
  const fallback = input.ipv6 ? [...publicServers, ...publicServersV6] : publicServers;
  return format({ nameservers: reachable.length > 0 ? reachable : fallback, search, options });
}

export interface HostsInput {
  readonly hostname: string;
  readonly domainname?: string;
  /** The container's own addresses: the first network's first. */
  readonly addresses: readonly string[];
  /** --add-host: `name:address`; `host-gateway` stands for the address in `hostGateway`. */
  readonly extra: readonly string[];
  /** Links of the default bridge: address and the names it gets. */
  readonly links?: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** What `host-gateway` stands for: --host-gateway-ip, or the default bridge's address. */
  readonly hostGateway: readonly string[];
  /** Addresses of `host.docker.internal`: the gateway of the container's own network; none: the name is left out. */
  readonly hostInternal: readonly string[];
  readonly ipv6: boolean;
  /** The container shares the host's network and begins with this copy of its file. */
  readonly host?: string;
}

/** The lines of /etc/hosts in which a container finds itself: one an address. */
export function ownHostLines(
  input: Pick<HostsInput, "hostname" | "domainname" | "addresses">,
): readonly string[] {
  if (input.hostname === "") return [];
  const names = input.domainname ? `${input.hostname}.${input.domainname} ${input.hostname}` : input.hostname;
  return input.addresses.filter((address) => address !== "").map((address) => `${address}\t${names}`);
}

const hostInternal = "host.docker.internal";

/** Where a container of these networks finds its host: the gateway of the first, which need not be the router that it uses. */
export function hostInternalOf(networks: readonly Network[]): readonly string[] {
  const gateways = networks.flatMap(({ ipam }) => ipam.config.flatMap(({ gateway }) => gateway ?? []));
  return gateways.filter((address) => !address.includes(":")).slice(0, 1);
}

/** /etc/hosts of a container. `host.docker.internal` is there by default, for programs written on desktops. */
export function hostsFile(input: HostsInput): string {
  const lines: string[] = [];
  if (input.host !== undefined) lines.push(input.host.replace(/\n*$/, ""));
  else {
    lines.push("127.0.0.1\tlocalhost");
    if (input.ipv6) {
      lines.push(
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
      );
    }
  }
  const named = new Set<string>();
  for (const entry of input.extra) {
    const at = entry.search(/[:=]/);
    if (at < 0) continue;
    const name = entry.slice(0, at);
    const target = entry.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
    named.add(name);
    const addresses = target === "host-gateway" ? input.hostGateway : [target];
    for (const address of addresses) lines.push(`${address}\t${name}`);
  }
  for (const link of input.links ?? []) lines.push(`${link.address}\t${link.names.join(" ")}`);
  if (!named.has(hostInternal)) {
    for (const address of input.hostInternal) lines.push(`${address}\t${hostInternal}`);
  }
  if (input.host === undefined) {
    const names = input.domainname
      ? `${input.hostname}.${input.domainname} ${input.hostname}`
      : input.hostname;
    for (const address of input.addresses) {
      if (address !== "") lines.push(`${address}\t${names}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}
