import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { invalid, TugError } from "../../../base/lib/errors.ts";
import { ipBytes, parseIp, parsePrefix } from "../../../base/lib/ip.ts";
import type { Log } from "../../../base/lib/log.ts";
import type { NetlinkSocket } from "../../../base/sys/netlink.ts";
import {
  deleteAddressMessage,
  deleteLinkMessage,
  getLink,
  listAddresses,
  listLinks,
  newAddressMessage,
  newLinkMessage,
  setBridgePortMessage,
  setLinkMessage,
} from "../../../base/sys/netlink-route.ts";
import type { LinkRecord, LinkRequest, NetworkDriver } from "../driver.ts";
import type { Network, NetworkSpec } from "../network.ts";
import {
  bridgeName,
  gatewayMode,
  hostBinding,
  icc,
  inhibitIPv4,
  interfacePrefix,
  masquerade,
  mtu,
  validateBridgeName,
} from "../options.ts";

export interface BridgeDeps {
  /** A netlink socket on the host's network. */
  readonly netlink: NetlinkSocket;
  readonly log: Log;
  /** Bridges that the administrator made (`--bridge`): used, never removed. */
  readonly foreignBridges: readonly string[];
  /** Runs something later, unless the service is shut down before. */
  readonly later: (milliseconds: number, work: () => void) => void;
  /** --ip-forward: may the driver switch on forwarding? */
  readonly ipForward: boolean;
}

/** Milliseconds a dying namespace has to take its veth pair along; it needs some 20. */
const lingering = 1000;

/** A Linux bridge a network, a veth pair an endpoint. */
export function createBridgeDriver(deps: BridgeDeps): NetworkDriver {
  const { netlink } = deps;

  const isForeign = (network: Network): boolean =>
    network.adoptsInterface === true || deps.foreignBridges.includes(bridgeName(network));

  const ensureAddresses = (network: Network, index: number): void => {
    const wanted = network.ipam.config.flatMap((pool) => {
      const subnet = pool.subnet === undefined ? undefined : parsePrefix(pool.subnet);
      const gateway = pool.gateway === undefined ? undefined : parseIp(pool.gateway);
      if (!subnet || !gateway || (gateway.family === 4 && inhibitIPv4(network))) return [];
      if (gatewayMode(network, subnet.family) === "isolated") return [];
      return [{ address: gateway, length: subnet.length }];
    });
    const present = listAddresses(netlink).filter((one) => one.index === index);
    const same = (bytes: Uint8Array, other: Uint8Array) => Buffer.compare(bytes, other) === 0;
    for (const one of present) {
      const linkLocal = one.family === 6 && one.address[0] === 0xfe;
      const keep = wanted.some((w) => same(ipBytes(w.address), one.address) && w.length === one.prefixLength);
      if (!keep && !linkLocal && !isForeign(network)) {
        netlink.run(deleteAddressMessage(index, one.address, one.prefixLength));
      }
    }
    for (const { address, length } of wanted) {
      const there = present.some((one) => same(ipBytes(address), one.address) && one.prefixLength === length);
      if (!there) netlink.run(newAddressMessage(index, ipBytes(address), length));
    }
  };

  /** Deletes the veth pairs on a bridge that are not in `keep`. */
  const deletePorts = (name: string, keep: ReadonlySet<string>): void => {
    const bridge = getLink(netlink, name);
    if (!bridge) return;
    const ports = listLinks(netlink).filter(
      (link) => link.master === bridge.index && link.kind === "veth" && !keep.has(link.name),
    );
    for (const port of ports) deleteLink(netlink, port.name);
  };

  return {
    name: "bridge",
    addressless: false,
    publishes: true,
    routesByInterface: () => false,

    validate(spec: NetworkSpec) {
      validateBridgeName(spec);
      icc(spec);
      masquerade(spec);
      inhibitIPv4(spec);
      mtu(spec);
      interfacePrefix(spec);
      gatewayMode(spec, 4);
      gatewayMode(spec, 6);
      const binding = hostBinding(spec);
      if (binding !== undefined && parseIp(binding)?.family !== 4) {
        throw invalid(`failed to parse com.docker.network.bridge.host_binding_ipv4 value: "${binding}"`);
      }
    },

    hostInterface: (network) => bridgeName(network),

    createNetwork(network) {
      const name = bridgeName(network);
      let link = getLink(netlink, name);
      if (link && link.kind !== "bridge") {
        throw new TugError("invalid-argument", `existing interface ${name} is not a bridge`);
      }
      if (!link) {
        // A fixed address: a bridge without one takes the lowest of its ports and changes it as they come and go.
        const mac = [0x02, 0x42, ...randomBytes(4)]
          .map((byte) => byte.toString(16).padStart(2, "0"))
          .join(":");
        const size = mtu(network);
        netlink.run(
          newLinkMessage({
            name,
            mac,
            kind: { type: "bridge" },
            ...(size === undefined ? {} : { mtu: size }),
          }),
        );
        link = getLink(netlink, name);
        if (!link) throw new TugError("internal", `bridge ${name} vanished while it was made`);
      }
      ensureAddresses(network, link.index);
      // 127.0.0.1:port on the host: packets from 127/8 may leave through the bridge, where they are masqueraded.
      sysctl(`net/ipv4/conf/${name}/route_localnet`, "1", deps.log);
      // The bridge is a router towards its containers and must not be configured by their router advertisements.
      sysctl(`net/ipv6/conf/${name}/accept_ra`, "0", deps.log);
      // While its link-local address is tentative the bridge solicits no neighbours (RFC 4862 5.4), so for a second after the first
      // container nothing would be forwarded to it.
      sysctl(`net/ipv6/conf/${name}/accept_dad`, "0", deps.log);
      netlink.run(setLinkMessage(link.index, { up: true }));
      if (deps.ipForward) enableForwarding(network, deps.log);
    },

    reconcile(network, hostInterfaces) {
      const bridge = getLink(netlink, bridgeName(network));
      if (!bridge) return;
      // Somebody deleted the bridge: the pairs of living containers hang in the air.
      for (const link of listLinks(netlink)) {
        if (!hostInterfaces.has(link.name) || link.master === bridge.index) continue;
        netlink.run(setLinkMessage(link.index, { master: bridge.index, up: true }));
      }
      if (!isForeign(network)) deletePorts(bridge.name, hostInterfaces);
    },

    removeNetwork(network) {
      const name = bridgeName(network);
      if (isForeign(network) || getLink(netlink, name)?.kind !== "bridge") return;
      deletePorts(name, new Set());
      deleteLink(netlink, name);
    },

    createLink(network, link: LinkRequest) {
      const bridge = getLink(netlink, bridgeName(network));
      if (!bridge)
        throw new TugError("internal", `bridge ${bridgeName(network)} of network ${network.name} is gone`);
      const size = mtu(network);
      netlink.run(
        newLinkMessage({
          name: link.hostName,
          master: bridge.index,
          ...(size === undefined ? {} : { mtu: size }),
          kind: { type: "veth", peer: { name: link.containerName, mac: link.mac, netns: link.netns } },
        }),
        setLinkMessage(link.hostName, { up: true, generateLinkLocal: false }),
      );
      const filtered = bridgedFramesAreFiltered();
      if (icc(network) && !filtered) return;
      const port = getLink(netlink, link.hostName);
      if (port) {
        netlink.run(
          setBridgePortMessage(port.index, { hairpin: filtered, isolated: !icc(network) && !filtered }),
        );
      }
    },

    removeLink(_network, link: LinkRecord, gone) {
      const port = getLink(netlink, link.hostName);
      if (!port) return;
      if (gone && port.master !== 0) {
        // Deleting waits for an RCU grace period (some 20 ms). The kernel deletes the pair with the dying namespace by itself;
        // until then the port must only not carry frames, since its address may be given to the next container.
        const failure = netlink.batch([setBridgePortMessage(port.index, { state: 0, flush: true })])[0];
        if (!failure || failure.error.code === "ENODEV") {
          // Unless somebody else is in the namespace (a container that shares it), which then keeps it and the pair.
          deps.later(lingering, () => deleteLink(netlink, link.hostName));
          return;
        }
      }
      deleteLink(netlink, link.hostName);
    },
  };
}

/**
 * With br_netfilter (Docker and Kubernetes switch it on) frames between ports of a bridge pass the IP hooks. Then the forward
 * chain decides about icc, and a frame rewritten to a published port is bridged rather than routed, so a container that
 * asks for its own port needs the frame sent back where it came from (hairpin). Without it, isolated ports do icc=false.
 */
function bridgedFramesAreFiltered(): boolean {
  return isSet("net/bridge/bridge-nf-call-iptables");
}

function deleteLink(netlink: NetlinkSocket, name: string): void {
  const failure = netlink.batch([deleteLinkMessage(name)])[0];
  if (failure && failure.error.code !== "ENODEV") throw failure.error;
}

function sysctl(name: string, value: string, log: Log): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
  } catch (error) {
    // Absent without IPv6; read-only in an unprivileged outer container.
    log.warn("sysctl not set", { sysctl: name, value, error });
  }
}

/** Packets between containers and the world are forwarded by this host: ip-sysctl.rst, ip_forward. */
function enableForwarding(network: Network, log: Log): void {
  if (network.enableIPv4) sysctl("net/ipv4/ip_forward", "1", log);
  if (!network.enableIPv6 || isSet("net/ipv6/conf/all/forwarding")) return;
  // A router stops taking router advertisements, which would cut a host off that lives by them; 2 means: take them all the same.
  for (const name of readdirSync("/proc/sys/net/ipv6/conf")) {
    if (name !== "all" && isSet(`net/ipv6/conf/${name}/accept_ra`))
      sysctl(`net/ipv6/conf/${name}/accept_ra`, "2", log);
  }
  sysctl("net/ipv6/conf/all/forwarding", "1", log);
}

function isSet(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/${name}`, "latin1").startsWith("1");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
