import { readFile, stat, writeFile } from "node:fs/promises";
import { hostname as hostHostname } from "node:os";
import { join } from "node:path";
import { internal } from "../../../base/lib/errors.ts";
import type { ContainerId } from "../../../base/lib/ids.ts";
import {
  hostInternalOf,
  hostnameFile,
  hostsFile,
  ownHostLines,
  resolvConf,
} from "../../../core/network/files.ts";
import { hostResolvConf } from "../../../core/network/host-servers.ts";
import type { Endpoint, Network } from "../../../core/network/network.ts";
import type { ContainerContext } from "../context.ts";
import { parseLink } from "../create/links.ts";
import { type ContainerRecord, isAlive } from "../record.ts";
import { giveTo, remapOf } from "./remap.ts";

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

/** The same with the places where the container sees them. */
export function identityFiles(
  directory: string,
): readonly { readonly target: string; readonly source: string }[] {
  const files = networkFiles(directory);
  return [
    { target: "/etc/resolv.conf", source: files.resolvConf },
    { target: "/etc/hostname", source: files.hostname },
    { target: "/etc/hosts", source: files.hosts },
  ];
}

export interface ContainerNetworks {
  /** The container shares the host's network. */
  readonly host: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly networks: readonly Network[];
}

/** Writes hostname, hosts and resolv.conf before the container is created. */
export async function writeNetworkFiles(
  context: ContainerContext,
  record: ContainerRecord,
  network: ContainerNetworks,
): Promise<void> {
  const { config } = record.definition;
  const files = networkFiles(context.paths.dir(record.id));
  const name = network.host ? config.Hostname || hostHostname() : (config.Hostname ?? "");
  const [hosts, resolv] = await Promise.all([
    hostsText(context, record, name, network),
    resolvText(context, record, network),
  ]);
  await Promise.all([
    writeFile(files.hostname, hostnameFile(name), { mode: 0o644 }),
    writeFile(files.hosts, hosts, { mode: 0o644 }),
    writeFile(files.resolvConf, resolv, { mode: 0o644 }),
  ]);
  const remap = remapOf(context, record.definition.host);
  for (const path of Object.values(files)) giveTo(remap, path);
}

/** What a container wrote itself into a file larger than this is not read. */
const maxFile = 1 << 20;

/**
 * A running container joined or left a network: its addresses in /etc/hosts, and the resolver of its networks in resolv.conf
 * unless the container changed that file. In place, for the files are bind-mounted.
 */
export async function updateNetworkFiles(
  context: ContainerContext,
  record: ContainerRecord,
  before: readonly Endpoint[],
  after: readonly Endpoint[],
): Promise<void> {
  const files = networkFiles(context.paths.dir(record.id));
  const read = async (path: string) =>
    (await stat(path)).size > maxFile ? undefined : await readFile(path, "utf8");
  const { config } = record.definition;
  const own = (endpoints: readonly Endpoint[]) =>
    ownHostLines({
      hostname: config.Hostname ?? "",
      domainname: config.Domainname ?? "",
      addresses: addressesOf(endpoints),
    });
  const hosts = await read(files.hosts);
  if (hosts !== undefined) {
    const gone = new Set(own(before));
    const kept = hosts
      .replace(/\n$/, "")
      .split("\n")
      .filter((line) => !gone.has(line));
    await writeFile(files.hosts, `${[...kept, ...own(after)].join("\n")}\n`);
  }
  const view = (endpoints: readonly Endpoint[]): ContainerNetworks => ({
    host: false,
    endpoints,
    networks: endpoints.map((endpoint) => context.networks.resolve(endpoint.network)),
  });
  const [was, is] = await Promise.all([
    resolvText(context, record, view(before)),
    resolvText(context, record, view(after)),
  ]);
  if (was !== is && (await read(files.resolvConf)) === was) await writeFile(files.resolvConf, is);
}

function addressesOf(endpoints: readonly Endpoint[]): readonly string[] {
  return endpoints.flatMap((endpoint) => [endpoint.ipv4, endpoint.ipv6]);
}

async function hostsText(
  context: ContainerContext,
  record: ContainerRecord,
  hostname: string,
  network: ContainerNetworks,
): Promise<string> {
  const { config, host } = record.definition;
  const extra = host.ExtraHosts ?? [];
  if (network.host && extra.length === 0) return await readHost("/etc/hosts");
  const hostGateway = context.defaults.hostGateway();
  return hostsFile({
    hostname,
    domainname: config.Domainname ?? "",
    addresses: addressesOf(network.endpoints),
    extra,
    links: linkHosts(context, record),
    hostGateway: hostGateway === undefined ? [] : [hostGateway],
    hostInternal: hostInternalOf(network.networks),
    ipv6: true,
    ...(network.host ? { host: await readHost("/etc/hosts") } : {}),
  });
}

async function resolvText(
  context: ContainerContext,
  record: ContainerRecord,
  network: ContainerNetworks,
): Promise<string> {
  const { host } = record.definition;
  return resolvConf({
    host: await hostResolvConf({ reachable: !network.host }),
    resolver: network.host ? undefined : context.networks.resolverAddress(network.networks),
    hostNetwork: network.host,
    servers: pick(host.Dns, context.defaults.dns),
    options: pick(host.DnsOptions, context.defaults.dnsOptions),
    search: pick(host.DnsSearch, context.defaults.dnsSearch),
    ipv6: network.endpoints.some((endpoint) => endpoint.ipv6 !== ""),
  });
}

function pick(own: readonly string[] | undefined, fallback: readonly string[]): readonly string[] {
  return own && own.length > 0 ? own : fallback;
}

async function readHost(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

/** Legacy links of the default bridge are lines in /etc/hosts; on user-defined networks the resolver answers them. */
function linkHosts(
  context: ContainerContext,
  record: ContainerRecord,
): readonly { readonly address: string; readonly names: readonly string[] }[] {
  if (record.definition.host.NetworkMode !== "bridge") return [];
  return (record.definition.host.Links ?? []).flatMap((link) => {
    const { container, alias } = parseLink(link);
    const target = context.store.get(container as ContainerId);
    // A link ends with the container it leads to.
    if (!target) return [];
    if (!isAlive(target)) {
      throw internal(`Cannot link to a non running container: /${target.name} AS /${record.name}/${alias}`);
    }
    const address = target.state.endpoints["bridge"]?.ipv4;
    if (!address) throw internal(`container ${target.id} not attached to default bridge network`);
    const names = new Set([alias, target.definition.config.Hostname ?? "", target.name]);
    return [{ address, names: [...names].filter(Boolean) }];
  });
}
