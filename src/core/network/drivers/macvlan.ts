import { invalid } from "../../../base/lib/errors.ts";
import type { NetlinkSocket } from "../../../base/sys/netlink.ts";
import type { MacvlanMode } from "../../../base/sys/netlink-route.ts";
import type { NetworkDriver } from "../driver.ts";
import type { Network, NetworkSpec } from "../network.ts";
import { mtu } from "../options.ts";
import { addLink, ParentInterface } from "../parent-interface.ts";

export interface MacvlanDeps {
  readonly netlink: NetlinkSocket;
  /** Other networks on the same parent. */
  readonly sharesParent: (network: Network) => boolean;
}

function mode(spec: NetworkSpec): MacvlanMode {
  const value = spec.options["macvlan_mode"] || "bridge";
  if (value === "bridge" || value === "private" || value === "vepa" || value === "passthru") return value;
  throw invalid(
    `requested macvlan mode '${value}' is not valid, 'bridge' mode is the macvlan driver default`,
  );
}

/** Containers with MAC addresses of their own on the host's LAN. */
export function createMacvlanDriver(deps: MacvlanDeps): NetworkDriver {
  const parent = new ParentInterface(deps.netlink, "dm");
  return {
    name: "macvlan",
    addressless: false,
    publishes: false,
    routesByInterface: () => false,
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
      addLink(deps.netlink, {
        name: link.containerName,
        mac: link.mac,
        ...(size === undefined ? {} : { mtu: size }),
        kind: { type: "macvlan", parent: parent.index(network), mode: mode(network), netns: link.netns },
      });
    },
    // The interface lives in the container's namespace alone and dies with it; `disconnect` deletes it there.
    removeLink: () => undefined,
  };
}
