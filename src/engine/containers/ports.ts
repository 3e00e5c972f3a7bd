import { invalid } from "../../base/lib/errors.ts";
import { formatIp, parseIp } from "../../base/lib/ip.ts";
import type { ContainerConfig, HostConfig, PortMap } from "../../base/spec/docker/api.gen.ts";
import type { Endpoint, PortPublication } from "../../core/network/network.ts";

export interface PortKey {
  readonly port: number;
  readonly protocol: "tcp" | "udp" | "sctp";
}

/** "80/tcp", "80", or "8000-8010/udp" (exposed ranges) as the single ports it means. */
export function parsePortKeys(key: string): readonly PortKey[] {
  const fail = () => invalid(`invalid port specification: "${key}"`);
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-zA-Z]+))?$/.exec(key);
  if (!match) throw fail();
  const protocol = (match[3] ?? "tcp").toLowerCase();
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw invalid(`invalid proto: ${protocol}`);
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (first < 1 || last > 65535 || last < first) throw fail();
  return Array.from({ length: last - first + 1 }, (_, index) => ({ port: first + index, protocol }) as const);
}

/** The publications that PortBindings and --publish-all ask for. Throws Docker's texts on bad ports. */
export function planPublications(
  config: ContainerConfig,
  host: HostConfig,
  defaultIp: string,
): readonly PortPublication[] {
  const publications: PortPublication[] = [];
  const bound = new Set<string>();
  for (const [key, bindings] of Object.entries(host.PortBindings ?? {})) {
    for (const { port, protocol } of parsePortKeys(key)) {
      bound.add(`${port}/${protocol}`);
      for (const binding of bindings ?? []) {
        const hostIp = checkHostIp(binding.HostIp ?? "") || defaultIp;
        publications.push({
          protocol,
          containerPort: port,
          hostIp,
          ...parseHostPort(binding.HostPort ?? ""),
        });
      }
      if ((bindings ?? []).length === 0 && host.PublishAllPorts) {
        publications.push({ protocol, containerPort: port, hostIp: defaultIp });
      }
    }
  }
  if (host.PublishAllPorts) {
    for (const key of Object.keys(config.ExposedPorts ?? {})) {
      for (const { port, protocol } of parsePortKeys(key)) {
        if (bound.has(`${port}/${protocol}`)) continue;
        publications.push({ protocol, containerPort: port, hostIp: defaultIp });
      }
    }
  }
  return publications;
}

/** What of the bindings cannot be published, for people to know before they wonder; `ipv6`: a network of the container has it. */
export function portWarnings(bindings: PortMap, ipv6: boolean): readonly string[] {
  const warnings = Object.entries(bindings).flatMap(([key, list]) =>
    (list ?? []).flatMap(({ HostIp = "" }) => {
      const address = parseIp(HostIp.replace(/^\[(.*)\]$/, "$1"));
      if (address?.family !== 6) return [];
      const shown = formatIp(address);
      if (shown === "::1")
        return [
          `Port ${key} is not published on [::1]: the kernel forwards nothing from there. Use 127.0.0.1.`,
        ];
      return ipv6
        ? []
        : [`Port ${key} is not published on [${shown}]: the container has no network with IPv6.`];
    }),
  );
  return [...new Set(warnings)];
}

function checkHostIp(ip: string): string {
  const bare = ip.startsWith("[") && ip.endsWith("]") ? ip.slice(1, -1) : ip;
  const isIp =
    bare === "" || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(bare) || /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(bare);
  if (!isIp) throw invalid(`invalid IP address: ${ip}`);
  return bare;
}

function parseHostPort(text: string): Pick<PortPublication, "hostPort" | "hostPortEnd"> {
  if (text === "" || text === "0") return {};
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(match?.[1]);
  const last = match?.[2] === undefined ? first : Number(match[2]);
  if (!match || last > 65535 || last < first) throw invalid(`invalid port specification: "${text}"`);
  return last === first ? { hostPort: first } : { hostPort: first, hostPortEnd: last };
}

/** NetworkSettings.Ports: every exposed or bound port, null where nothing is published; {} while it does not run. */
export function portMap(config: ContainerConfig, host: HostConfig, endpoints: Iterable<Endpoint>): PortMap {
  const map: PortMap = {};
  for (const key of [...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(host.PortBindings ?? {})]) {
    for (const { port, protocol } of parsePortKeys(key)) map[`${port}/${protocol}`] = null;
  }
  for (const endpoint of endpoints) {
    for (const port of endpoint.ports) {
      if (port.hostPort === undefined) continue;
      const key = `${port.containerPort}/${port.protocol}`;
      const bindings = map[key] ?? [];
      const hosts = port.hostIp === "" ? ["0.0.0.0", "::"] : [port.hostIp];
      for (const HostIp of hosts) bindings.push({ HostIp, HostPort: String(port.hostPort) });
      map[key] = bindings;
    }
  }
  return map;
}
