import { invalid, TugError } from "../../base/lib/errors.ts";
import { formatIp, isUnspecified, parseIp } from "../../base/lib/ip.ts";
import type { PortPublication } from "./network.ts";

/** Asks whether a process of the host listens there: undefined when a bind would succeed, else the failure's text. */
export type PortProbe = (
  protocol: PortPublication["protocol"],
  hostIp: string,
  port: number,
) => string | undefined;

/** A publication in force. */
export interface TakenPort {
  readonly protocol: PortPublication["protocol"];
  readonly hostIp: string;
  readonly hostPort: number;
  /** Who has it, when it is not a container of this daemon. */
  readonly holder?: string;
}

export interface PortPlanInput {
  readonly requested: readonly PortPublication[];
  /** Families the endpoint has an address of. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** What "" stands for in IPv4; IPv6 is then used only when it is "0.0.0.0". */
  readonly defaultHostIp: string;
  readonly taken: readonly TakenPort[];
  /** Publications in force of the same endpoint: an ephemeral request keeps the port it has. */
  readonly kept: readonly PortPublication[];
  readonly probe: PortProbe;
  /** Prefix of Docker's message: the endpoint it is about. */
  readonly endpoint: string;
  /** Where the search for a free ephemeral port begins. */
  readonly ephemeralStart?: number;
}

export interface PortPlan {
  /** One entry a host address and port, all with `hostPort`. */
  readonly ports: readonly (PortPublication & { readonly hostPort: number })[];
  /** Where the next search should begin. */
  readonly nextEphemeral: number;
}

/** Linux's default ip_local_port_range, which Docker uses for published ports without a number. */
const ephemeralRange = { first: 32768, last: 60999 } as const;

const key = (protocol: string, port: number) => `${protocol}/${port}`;

/**
 * Which host ports an endpoint's publications take: pure, given what is taken and a way to ask whether a process of the
 * host already listens there. Throws Docker's messages for a port that is taken.
 */
export function planPorts(input: PortPlanInput): PortPlan {
  const taken = new Map<string, TakenPort[]>();
  const take = (port: TakenPort) => {
    const at = key(port.protocol, port.hostPort);
    const others = taken.get(at);
    if (others) others.push(port);
    else taken.set(at, [port]);
  };
  for (const port of input.taken) take(port);
  const holderOf = (protocol: string, ip: string, port: number): TakenPort | undefined =>
    (taken.get(key(protocol, port)) ?? []).find(
      ({ hostIp: other }) => sameFamily(ip, other) && (ip === other || any(ip) || any(other)),
    );

  const ports: (PortPublication & { readonly hostPort: number })[] = [];
  let ephemeral = input.ephemeralStart ?? ephemeralRange.first;
  if (ephemeral < ephemeralRange.first || ephemeral > ephemeralRange.last) ephemeral = ephemeralRange.first;
  const failure = (text: string) =>
    new TugError(
      "internal",
      `driver failed programming external connectivity on endpoint ${input.endpoint}: ${text}`,
    );

  // Fixed ports first: an ephemeral one must not take what a later -p names.
  const ordered = [...input.requested].sort(
    (a, b) => Number(a.hostPort === undefined) - Number(b.hostPort === undefined),
  );
  for (const request of ordered) {
    const ips = hostAddresses(request, input);
    if (ips.length === 0) continue;
    const listening = (port: number) => {
      for (const ip of ips) {
        const text = input.probe(request.protocol, ip, port);
        if (text !== undefined) return { ip, text };
      }
      return undefined;
    };
    const accept = (hostPort: number) => {
      for (const hostIp of ips) {
        const { hostPortEnd: _, ...rest } = request;
        const port = { ...rest, hostIp, hostPort };
        ports.push(port);
        take(port);
      }
    };
    if (request.hostPort !== undefined && (request.hostPortEnd ?? request.hostPort) <= request.hostPort) {
      const port = request.hostPort;
      for (const ip of ips) {
        const clash = holderOf(request.protocol, ip, port);
        if (!clash) continue;
        const by = clash.holder === undefined ? "" : ` (by ${clash.holder})`;
        throw failure(`Bind for ${ip}:${port} failed: port is already allocated${by}`);
      }
      const busy = listening(port);
      if (busy) {
        const family = busy.ip.includes(":") ? "6" : "4";
        const shown = busy.ip.includes(":") ? `[${busy.ip}]` : busy.ip;
        throw failure(
          `Error starting userland proxy: listen ${request.protocol}${family} ${shown}:${port}: bind: ${busy.text}`,
        );
      }
      accept(port);
      continue;
    }
    const first = request.hostPort ?? ephemeralRange.first;
    const last = request.hostPort === undefined ? ephemeralRange.last : (request.hostPortEnd ?? first);
    const before = input.kept.find(
      (port) =>
        port.protocol === request.protocol &&
        port.containerPort === request.containerPort &&
        ips.includes(port.hostIp) &&
        port.hostPort !== undefined &&
        !holderOf(port.protocol, port.hostIp, port.hostPort) &&
        port.hostPort >= first &&
        port.hostPort <= last,
    );
    const start = before?.hostPort ?? (request.hostPort === undefined ? ephemeral : first);
    const size = last - first + 1;
    let found: number | undefined;
    for (let i = 0; i < size && found === undefined; i++) {
      const port = first + ((start - first + i) % size);
      if (!ips.some((ip) => holderOf(request.protocol, ip, port)) && !listening(port)) found = port;
    }
    if (found === undefined)
      throw failure(`Bind for ${ips[0] ?? ""}:${first} failed: all ports are allocated`);
    accept(found);
    if (request.hostPort === undefined)
      ephemeral = found === ephemeralRange.last ? ephemeralRange.first : found + 1;
  }
  return { ports, nextEphemeral: ephemeral };
}

const any = (ip: string) => ip === "0.0.0.0" || ip === "::";
const sameFamily = (a: string, b: string) => a.includes(":") === b.includes(":");

/** The host addresses one -p binds: "" is the default of the daemon, in both families. */
function hostAddresses(request: PortPublication, input: PortPlanInput): readonly string[] {
  if (request.hostIp === "") {
    const v6Default = input.defaultHostIp === "0.0.0.0";
    return [...(input.ipv4 ? [input.defaultHostIp] : []), ...(input.ipv6 && v6Default ? ["::"] : [])];
  }
  const address = parseIp(request.hostIp.replace(/^\[(.*)\]$/, "$1"));
  if (!address) throw invalid(`invalid IP address: ${request.hostIp}`);
  if (address.family === 4 ? !input.ipv4 : !input.ipv6) return [];
  // Nothing can be published there (see firewall.ts), so nothing shall be shown.
  if (formatIp(address) === "::1") return [];
  return [isUnspecified(address) ? (address.family === 4 ? "0.0.0.0" : "::") : formatIp(address)];
}
