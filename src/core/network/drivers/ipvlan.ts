import { invalid } from "../../../base/lib/errors.ts";
import type { NetlinkSocket } from "../../../base/sys/netlink.ts";
import type { IpvlanMode } from "../../../base/sys/netlink-route.ts";
import type { NetworkDriver } from "../driver.ts";
import type { Network, NetworkSpec } from "../network.ts";
import { mtu } from "../options.ts";
import { addLink, ParentInterface } from "../parent-interface.ts";

export interface IpvlanDeps {
  readonly netlink: NetlinkSocket;
  /** Other networks on the same parent. */
  readonly sharesParent: (network: Network) => boolean;
}

function mode(spec: NetworkSpec): IpvlanMode {
  const value = spec.options["ipvlan_mode"] || "l2";
  if (value === "l2" || value === "l3" || value === "l3s") return value;
  throw invalid(`requested ipvlan mode '${value}' is not valid, 'l2' mode is the ipvlan driver default`);
}

/** Containers with addresses of their own behind the MAC address of a host interface. */
export function createIpvlanDriver(deps: IpvlanDeps): NetworkDriver {
  const parent = new ParentInterface(deps.netlink, "di");
  return {
    name: "ipvlan",
    addressless: false,
    publishes: false,
    routesByInterface: (network) => mode(network) !== "l2",
    validate(spec) {
      mode(spec);
      mtu(spec);
      parent.validate(spec);
    },
    hostInterface: (network) => parent.name(network),
    createNetwork: (network) => parent.ensure(network),
    removeNetwork: (network) => parent.remove(network, deps.sharesParent(network)),
    reconcile: () => undefined,
    createLink(network, link) {
      const size = mtu(network);
      // No MAC address: an ipvlan interface has its parent's.
      addLink(deps.netlink, {
        name: link.containerName,
        ...(size === undefined ? {} : { mtu: size }),
        kind: { type: "ipvlan", parent: parent.index(network), mode: mode(network), netns: link.netns },
      });
    },
    // As with macvlan: it lives and dies in the container's namespace.
    removeLink: () => undefined,
  };
}
