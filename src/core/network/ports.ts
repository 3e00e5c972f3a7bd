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
  const planner = new PortPlanner(input);
  // Fixed ports first: an ephemeral one must not take what a later -p names.
  const ordered = [...input.requested].sort(
    (a, b) => Number(a.hostPort === undefined) - Number(b.hostPort === undefined),
  );
  for (const request of ordered) planner.add(request);
  return { ports: planner.ports, nextEphemeral: planner.nextEphemeral };
}

class PortPlanner {
  readonly ports: (PortPublication & { readonly hostPort: number })[] = [];
  nextEphemeral: number;
  readonly #input: PortPlanInput;
  readonly #taken = new Map<string, TakenPort[]>();

  constructor(input: PortPlanInput) {
    this.#input = input;
    for (const port of input.taken) this.#take(port);
    const { first, last } = ephemeralRange;
    const start = input.ephemeralStart ?? first;
    this.nextEphemeral = start < first || start > last ? first : start;
  }

  add(request: PortPublication): void {
    const ips = hostAddresses(request, this.#input);
    if (ips.length === 0) return;
    const { hostPort, hostPortEnd, ...rest } = request;
    const fixed = hostPort !== undefined && (hostPortEnd ?? hostPort) <= hostPort;
    const port = fixed ? this.#fixed(request, ips, hostPort) : this.#free(request, ips);
    for (const hostIp of ips) {
      const publication = { ...rest, hostIp, hostPort: port };
      this.ports.push(publication);
      this.#take(publication);
    }
  }

  /** The one port that was asked for. */
  #fixed({ protocol }: PortPublication, ips: readonly string[], port: number): number {
    for (const ip of ips) {
      const clash = this.#holder(protocol, ip, port);
      if (!clash) continue;
      const by = clash.holder === undefined ? "" : ` (by ${clash.holder})`;
      throw this.#failure(`Bind for ${ip}:${port} failed: port is already allocated${by}`);
    }
    const busy = this.#listening(protocol, ips, port);
    if (busy) {
      const family = busy.ip.includes(":") ? "6" : "4";
      const shown = busy.ip.includes(":") ? `[${busy.ip}]` : busy.ip;
      throw this.#failure(
        `Error starting userland proxy: listen ${protocol}${family} ${shown}:${port}: bind: ${busy.text}`,
      );
    }
    return port;
  }

  /** A free port of the range that was asked for, else of the ephemeral ones. */
  #free(request: PortPublication, ips: readonly string[]): number {
    const first = request.hostPort ?? ephemeralRange.first;
    const last = request.hostPort === undefined ? ephemeralRange.last : (request.hostPortEnd ?? first);
    const start =
      this.#kept(request, ips, { first, last }) ??
      (request.hostPort === undefined ? this.nextEphemeral : first);
    const size = last - first + 1;
    for (let i = 0; i < size; i++) {
      const port = first + ((start - first + i) % size);
      if (ips.some((ip) => this.#holder(request.protocol, ip, port))) continue;
      if (this.#listening(request.protocol, ips, port)) continue;
      if (request.hostPort === undefined)
        this.nextEphemeral = port === ephemeralRange.last ? ephemeralRange.first : port + 1;
      return port;
    }
    throw this.#failure(`Bind for ${ips[0] ?? ""}:${first} failed: all ports are allocated`);
  }

  /** The port that the endpoint has for the request already. */
  #kept(
    request: PortPublication,
    ips: readonly string[],
    { first, last }: { readonly first: number; readonly last: number },
  ): number | undefined {
    return this.#input.kept.find(
      (port) =>
        port.protocol === request.protocol &&
        port.containerPort === request.containerPort &&
        ips.includes(port.hostIp) &&
        port.hostPort !== undefined &&
        !this.#holder(port.protocol, port.hostIp, port.hostPort) &&
        port.hostPort >= first &&
        port.hostPort <= last,
    )?.hostPort;
  }

  #take(port: TakenPort): void {
    const at = key(port.protocol, port.hostPort);
    const others = this.#taken.get(at);
    if (others) others.push(port);
    else this.#taken.set(at, [port]);
  }

  /** Who has the port at that address, or at one that covers it. */
  #holder(protocol: string, ip: string, port: number): TakenPort | undefined {
    return this.#taken
      .get(key(protocol, port))
      ?.find(({ hostIp: other }) => sameFamily(ip, other) && (ip === other || any(ip) || any(other)));
  }

  /** The first of the addresses where a process of the host has the port, and what a bind says of it. */
  #listening(
    protocol: PortPublication["protocol"],
    ips: readonly string[],
    port: number,
  ): { readonly ip: string; readonly text: string } | undefined {
    for (const ip of ips) {
      const text = this.#input.probe(protocol, ip, port);
      if (text !== undefined) return { ip, text };
    }
    return undefined;
  }

  #failure(text: string): TugError {
    return new TugError(
      "internal",
      `driver failed programming external connectivity on endpoint ${this.#input.endpoint}: ${text}`,
    );
  }
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
