import { parseIp } from "../../../base/lib/ip.ts";
import type { CutOffBridge } from "../cut-off.ts";
import type { Network, PortPublication } from "../network.ts";
import { bridgeName, gatewayMode, icc, masquerade } from "../options.ts";

/**
 * The nftables rules of one daemon, as text; pure. All lives in one `inet` table named for the instance, so that several daemons
 * (and Docker, ufw, firewalld) never touch each other's rules, and removing the table removes everything.
 *
 * - `guard` (prerouting, after conntrack, before any DNAT): nothing from outside reaches a container's address directly, only
 *   through a published port, even from a neighbour that routes the subnet to this host.
 * - `publish`: looks the packet up in the maps of published ports and rewrites its destination. A publication is a map
 *   element, a run of equal ports one interval; adding one touches nothing else and no process sits in the path.
 * - `postrouting`: masquerades what leaves a container subnet, what a container sends to a published port of its own
 *   network (the answer must come back through the host), and what the host sends from 127.0.0.1.
 * - `forward`: answers and published ports pass; networks do not reach each other; internal ones reach nothing, and neither do those whose
 *   records cannot be read.
 *
 * An accept here ends only this table's evaluation: a drop in another table of the same hook (a FORWARD policy of DROP set by
 * somebody else) still holds. nft(8), "CHAINS": a packet is accepted only when every base chain accepts it.
 */
export interface PublishedEndpoint {
  readonly network: Network;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly ports: readonly PortPublication[];
}

/** A run of ports this long or longer becomes one interval element. */
const intervalFrom = 4;

const maps = `
  map publish4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }
  map publish6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }
  map any4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map any6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
  map range4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr; flags interval; }
  map range6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr; flags interval; }
  set open4 { type inet_proto . ipv4_addr . inet_service; }
  set open6 { type inet_proto . ipv6_addr . inet_service; }`;

// ::1 is left out: the kernel takes no packet for it from any interface but lo (there is no route_localnet in IPv6), so answers
// could not come back. Refused at once, programs that ask for "localhost" go on to 127.0.0.1.
const publishRules = `
    ip6 daddr ::1 return
    dnat ip to meta l4proto . ip daddr . th dport map @publish4
    meta nfproto ipv4 dnat ip to meta l4proto . th dport map @any4
    dnat ip to meta l4proto . ip daddr . th dport map @range4
    dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6
    meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @any6
    dnat ip6 to meta l4proto . ip6 daddr . th dport map @range6`;

const quote = (name: string) => `"${name}"`;

export interface RulesetOptions {
  /** Published ports answer at the containers' addresses, too. */
  readonly direct?: boolean;
  readonly cutOff?: readonly CutOffBridge[];
}

interface BridgeView {
  readonly name: string;
  readonly internal: boolean;
  readonly icc: boolean;
  readonly masquerade: boolean;
  readonly subnets: readonly {
    readonly keyword: "ip" | "ip6";
    readonly subnet: string;
    readonly gateway: string | undefined;
    readonly mode: ReturnType<typeof gatewayMode>;
  }[];
}

function view(network: Network): BridgeView {
  const subnets = network.ipam.config.flatMap((pool) => {
    if (pool.subnet === undefined) return [];
    const family = pool.subnet.includes(":") ? 6 : 4;
    return [
      {
        keyword: family === 4 ? ("ip" as const) : ("ip6" as const),
        subnet: pool.subnet,
        gateway: pool.gateway,
        mode: gatewayMode(network, family),
      },
    ];
  });
  return {
    name: bridgeName(network),
    internal: network.internal,
    icc: icc(network),
    masquerade: masquerade(network) && !network.internal,
    subnets,
  };
}

function guardRules(bridge: BridgeView, direct: boolean): readonly string[] {
  return bridge.subnets
    .filter(({ mode }) => (mode === "nat" && (bridge.internal || !direct)) || mode === "isolated")
    .map((pool) => guardRule(bridge.name, pool));
}

function guardRule(
  bridge: string,
  { subnet, gateway }: { subnet: string; gateway?: string | undefined },
): string {
  const keyword = subnet.includes(":") ? "ip6" : "ip";
  const except = gateway === undefined ? "" : ` ${keyword} daddr != ${gateway}`;
  return `${keyword} daddr ${subnet}${except} ct direction original iifname != { ${quote(bridge)}, "lo" } drop`;
}

function cutOffForwardRules(bridge: CutOffBridge): readonly string[] {
  const name = quote(bridge.name);
  if (!bridge.shared) return [`iifname ${name} drop`, `oifname ${name} drop`];
  // The others on an administrator's bridge go on.
  const from = (keyword: "ip" | "ip6", addresses: readonly string[]) =>
    addresses.length === 0 ? [] : [`iifname ${name} ${keyword} saddr { ${addresses.join(", ")} } drop`];
  return [
    ...from(
      "ip",
      bridge.shared.filter((address) => !address.includes(":")),
    ),
    ...from(
      "ip6",
      bridge.shared.filter((address) => address.includes(":")),
    ),
    `iifname ${name} oifname ${name} accept`,
    `oifname ${name} drop`,
  ];
}

function postroutingRules(bridge: BridgeView): readonly string[] {
  const name = quote(bridge.name);
  return [
    `oifname ${name} ip saddr 127.0.0.0/8 masquerade`,
    ...bridge.subnets.flatMap(({ keyword, subnet, mode }) => [
      `${keyword} saddr ${subnet} oifname ${name} ct status dnat masquerade`,
      ...(bridge.masquerade && mode !== "routed"
        ? [`${keyword} saddr ${subnet} oifname != ${name} masquerade`]
        : []),
    ]),
  ];
}

function forwardRules(bridge: BridgeView, all: string, direct: boolean): readonly string[] {
  const name = quote(bridge.name);
  if (bridge.internal) {
    return [
      `iifname ${name} oifname ${name} ${bridge.icc ? "accept" : "drop"}`,
      `iifname ${name} drop`,
      `oifname ${name} drop`,
    ];
  }
  const unprotected = bridge.subnets
    .filter((subnet) => subnet.mode === "nat-unprotected")
    .map(({ keyword, subnet }) => `oifname ${name} ${keyword} daddr ${subnet} iifname != ${all} accept`);
  const isRouted = bridge.subnets.some((subnet) => subnet.mode === "routed");
  const routed = [
    ...(isRouted || direct ? openRules(name) : []),
    ...(isRouted ? [`oifname ${name} meta l4proto { icmp, ipv6-icmp } accept`] : []),
  ];
  return [
    `iifname ${name} oifname ${name} ${bridge.icc ? "accept" : "drop"}`,
    ...unprotected,
    ...routed,
    `oifname ${name} drop`,
  ];
}

/** What `--allow-direct-routing` lets in, which otherwise the guard drops: published ports at the containers' own addresses. */
const openRules = (name: string): readonly string[] => [
  `oifname ${name} meta l4proto . ip daddr . th dport @open4 accept`,
  `oifname ${name} meta l4proto . ip6 daddr . th dport @open6 accept`,
];

/** Commands that make the table's chains say what these bridge networks need; published ports stay as they are. */
export function rulesetCommands(
  table: string,
  networks: readonly Network[],
  { direct = false, cutOff = [] }: RulesetOptions = {},
): string {
  const bridges = networks.map(view);
  const all = bridges.length === 0 ? "" : `{ ${bridges.map((bridge) => quote(bridge.name)).join(", ")} }`;
  const lines = (rules: readonly string[]) => rules.map((rule) => `\n    ${rule}`).join("");
  const chains: readonly (readonly [name: string, hook: string, rules: string])[] = [
    [
      "guard",
      "type filter hook prerouting priority -150; policy accept;",
      lines([
        ...cutOff.flatMap(({ name, pools }) => pools.map((pool) => guardRule(name, pool))),
        ...bridges.flatMap((bridge) => guardRules(bridge, direct)),
      ]),
    ],
    ["publish", "", publishRules],
    [
      "prerouting",
      "type nat hook prerouting priority -100; policy accept;",
      // A neighbour may send packets for 127.0.0.1: what is published there is for the host alone.
      lines([`iifname != "lo" ip daddr 127.0.0.0/8 return`, "fib daddr type local jump publish"]),
    ],
    [
      "output",
      "type nat hook output priority -100; policy accept;",
      "\n    fib daddr type local jump publish",
    ],
    [
      "postrouting",
      "type nat hook postrouting priority 100; policy accept;",
      lines(bridges.flatMap(postroutingRules)),
    ],
    [
      "forward",
      "type filter hook forward priority 0; policy accept;",
      bridges.length + cutOff.length === 0
        ? ""
        : lines([
            "ct state vmap { established : accept, related : accept }",
            ...cutOff.flatMap(cutOffForwardRules),
            // A network that is not internal: internal ones never have publications.
            ...(bridges.length === 0 ? [] : [`oifname ${all} ct status dnat accept`]),
            ...bridges.flatMap((bridge) => forwardRules(bridge, all, direct)),
          ]),
    ],
  ];
  return [
    `table inet ${table} {${maps}`,
    ...chains.map(([name, hook]) => `  chain ${name} { ${hook} }`),
    "}",
    ...chains.map(([name]) => `flush chain inet ${table} ${name}`),
    `table inet ${table} {`,
    ...chains.map(([name, , rules]) => `  chain ${name} {${rules}\n  }`),
    "}",
    "",
  ].join("\n");
}

/** Everything of this daemon gone; harmless when there is nothing. */
export function removeCommands(table: string): string {
  return `table inet ${table} {}\ndelete table inet ${table}\n`;
}

/** The elements that publish an endpoint's ports: `map name -> element texts (key, key : value)`. */
export type Elements = ReadonlyMap<
  string,
  { readonly map: string; readonly key: string; readonly value: string }
>;

export function publishElements(endpoint: PublishedEndpoint, direct = false): Elements {
  const found = new Map<string, { readonly map: string; readonly key: string; readonly value: string }>();
  const add = (map: string, key: string, value: string) => found.set(`${map} ${key}`, { map, key, value });
  if (endpoint.network.internal) return found;
  for (const family of [4, 6] as const) {
    const target = family === 4 ? endpoint.ipv4 : endpoint.ipv6;
    if (target === "") continue;
    const mine = endpoint.ports.filter(
      (port) => port.hostPort !== undefined && parseIp(port.hostIp)?.family === family,
    );
    if (gatewayMode(endpoint.network, family) === "routed") {
      for (const port of endpoint.ports) {
        add(`open${family}`, `${port.protocol} . ${target} . ${port.containerPort}`, "");
      }
      continue;
    }
    if (direct)
      for (const port of mine)
        add(`open${family}`, `${port.protocol} . ${target} . ${port.containerPort}`, "");
    for (const run of runs(mine)) {
      const { protocol, hostIp, first, last, containerPort } = run;
      const anyAddress = hostIp === "0.0.0.0" || hostIp === "::";
      if (first === last) {
        const value = `${target} . ${containerPort}`;
        if (anyAddress) add(`any${family}`, `${protocol} . ${first}`, value);
        else add(`publish${family}`, `${protocol} . ${hostIp} . ${first}`, value);
      } else {
        const address = anyAddress ? (family === 4 ? "0.0.0.0/0" : "::/0") : hostIp;
        add(`range${family}`, `${protocol} . ${address} . ${first}-${last}`, target);
      }
    }
  }
  return found;
}

interface Run {
  readonly protocol: string;
  readonly hostIp: string;
  readonly first: number;
  readonly last: number;
  readonly containerPort: number;
}

/** Runs of consecutive ports that keep their number; what is too short for an interval comes port by port. */
function runs(ports: readonly PortPublication[]): readonly Run[] {
  const sorted = ports
    .map((port) => ({ ...port, hostPort: port.hostPort ?? 0 }))
    .sort(
      (a, b) =>
        a.protocol.localeCompare(b.protocol) || a.hostIp.localeCompare(b.hostIp) || a.hostPort - b.hostPort,
    );
  const result: Run[] = [];
  for (let i = 0; i < sorted.length; ) {
    const start = sorted[i];
    if (!start) break;
    let end = i;
    if (start.hostPort === start.containerPort) {
      for (let next = sorted[end + 1]; next; next = sorted[end + 1]) {
        const steps = end + 1 - i;
        const joins =
          next.protocol === start.protocol &&
          next.hostIp === start.hostIp &&
          next.hostPort === start.hostPort + steps &&
          next.containerPort === next.hostPort;
        if (!joins) break;
        end++;
      }
    }
    if (end - i + 1 < intervalFrom) end = i;
    const last = sorted[end];
    result.push({
      protocol: start.protocol,
      hostIp: start.hostIp,
      first: start.hostPort,
      last: last?.hostPort ?? start.hostPort,
      containerPort: start.containerPort,
    });
    i = end + 1;
  }
  return result;
}

/** Commands that turn the elements of `before` into those of `after`, touching no others. */
export function changeCommands(table: string, before: Elements, after: Elements): string {
  const lines: string[] = [];
  const emit = (verb: "add" | "delete", from: Elements, other: Elements) => {
    const byMap = new Map<string, string[]>();
    for (const [id, element] of from) {
      if (other.get(id)?.value === element.value) continue;
      const text = verb === "add" && element.value !== "" ? `${element.key} : ${element.value}` : element.key;
      byMap.set(element.map, [...(byMap.get(element.map) ?? []), text]);
    }
    for (const [map, texts] of byMap)
      lines.push(`${verb} element inet ${table} ${map} { ${texts.join(", ")} }`);
  };
  emit("delete", before, after);
  emit("add", after, before);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

export const noElements: Elements = new Map();
