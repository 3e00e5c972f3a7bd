import { randomBytes } from "node:crypto";
import { invalid, TugError } from "../../../../base/lib/errors.ts";
import { parseIp } from "../../../../base/lib/ip.ts";
import type { Log } from "../../../../base/lib/log.ts";
import {
  deleteLink,
  getLink,
  type LinkInfo,
  listLinks,
  newLinkMessage,
  setBridgePortMessage,
  setLinkMessage,
} from "../../../../base/sys/net/links.ts";
import type { NetlinkSocket } from "../../../../base/sys/net/netlink.ts";
import type { LinkRecord, LinkRequest, NetworkDriver } from "../../driver.ts";
import type { Network, NetworkSpec } from "../../network.ts";
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
} from "../../options.ts";
import { ensureAddresses } from "./addresses.ts";
import { bridgedFramesAreFiltered, enableForwarding, prepareBridge } from "./host-settings.ts";

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
export class BridgeDriver implements NetworkDriver {
  readonly name = "bridge";
  readonly addressless = false;
  readonly publishes = true;
  readonly #deps: BridgeDeps;
  readonly #netlink: NetlinkSocket;

  constructor(deps: BridgeDeps) {
    this.#deps = deps;
    this.#netlink = deps.netlink;
  }

  routesByInterface(): boolean {
    return false;
  }

  validate(spec: NetworkSpec): void {
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
  }

  hostInterface(network: Network): string {
    return bridgeName(network);
  }

  createNetwork(network: Network): void {
    const name = bridgeName(network);
    const link = getLink(this.#netlink, name) ?? this.#makeBridge(network, name);
    if (link.kind !== "bridge") {
      throw new TugError("invalid-argument", `existing interface ${name} is not a bridge`);
    }
    ensureAddresses(this.#netlink, network, { index: link.index, keepOthers: this.#isForeign(network) });
    prepareBridge(name, this.#deps.log);
    this.#netlink.run(setLinkMessage(link.index, { up: true }));
    if (this.#deps.ipForward) enableForwarding(network, this.#deps.log);
  }

  reconcile(network: Network, hostInterfaces: ReadonlySet<string>): void {
    const bridge = getLink(this.#netlink, bridgeName(network));
    if (!bridge) return;
    // Somebody deleted the bridge: the pairs of living containers hang in the air.
    for (const link of listLinks(this.#netlink)) {
      if (!hostInterfaces.has(link.name) || link.master === bridge.index) continue;
      this.#netlink.run(setLinkMessage(link.index, { master: bridge.index, up: true }));
    }
    if (!this.#isForeign(network)) this.#deletePorts(bridge.name, hostInterfaces);
  }

  removeNetwork(network: Network): void {
    const name = bridgeName(network);
    if (this.#isForeign(network) || getLink(this.#netlink, name)?.kind !== "bridge") return;
    this.#deletePorts(name, new Set());
    deleteLink(this.#netlink, name);
  }

  createLink(network: Network, link: LinkRequest): void {
    const bridge = getLink(this.#netlink, bridgeName(network));
    if (!bridge)
      throw new TugError("internal", `bridge ${bridgeName(network)} of network ${network.name} is gone`);
    const size = mtu(network);
    this.#netlink.run(
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
    const port = getLink(this.#netlink, link.hostName);
    if (port) {
      this.#netlink.run(
        setBridgePortMessage(port.index, { hairpin: filtered, isolated: !icc(network) && !filtered }),
      );
    }
  }

  removeLink(_network: Network, link: LinkRecord, gone: boolean): void {
    const port = getLink(this.#netlink, link.hostName);
    if (!port) return;
    if (gone && port.master !== 0) {
      // Deleting waits for an RCU grace period (some 20 ms). The kernel deletes the pair with the dying namespace by itself;
      // until then the port must only not carry frames, since its address may be given to the next container.
      const failure = this.#netlink.batch([setBridgePortMessage(port.index, { state: 0, flush: true })])[0];
      if (!failure || failure.error.code === "ENODEV") {
        // Unless somebody else is in the namespace (a container that shares it), which then keeps it and the pair.
        this.#deps.later(lingering, () => deleteLink(this.#netlink, link.hostName));
        return;
      }
    }
    deleteLink(this.#netlink, link.hostName);
  }

  #isForeign(network: Network): boolean {
    return network.adoptsInterface === true || this.#deps.foreignBridges.includes(bridgeName(network));
  }

  #makeBridge(network: Network, name: string): LinkInfo {
    // A fixed address: a bridge without one takes the lowest of its ports and changes it as they come and go.
    const mac = [0x02, 0x42, ...randomBytes(4)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const size = mtu(network);
    this.#netlink.run(
      newLinkMessage({ name, mac, kind: { type: "bridge" }, ...(size === undefined ? {} : { mtu: size }) }),
    );
    const link = getLink(this.#netlink, name);
    if (!link) throw new TugError("internal", `bridge ${name} vanished while it was made`);
    return link;
  }

  /** Deletes the veth pairs on a bridge that are not in `keep`. */
  #deletePorts(name: string, keep: ReadonlySet<string>): void {
    const bridge = getLink(this.#netlink, name);
    if (!bridge) return;
    const ports = listLinks(this.#netlink).filter(
      (link) => link.master === bridge.index && link.kind === "veth" && !keep.has(link.name),
    );
    for (const port of ports) deleteLink(this.#netlink, port.name);
  }
}
