import type { NewLink } from "../../base/sys/net/links.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import type { LinkRequest, NetworkDriver } from "./driver.ts";
import type { Network, NetworkSpec } from "./network.ts";
import { mtu } from "./options.ts";
import { addLink, ParentInterface } from "./parent-interface.ts";

export interface ParentDriverDeps {
  readonly netlink: NetlinkSocket;
  /** Other networks on the same parent. */
  readonly sharesParent: (network: Network) => boolean;
}

/** What one kind of interface on a parent has of its own. */
export interface ParentKind {
  readonly name: "ipvlan" | "macvlan";
  /** Of the interfaces made for networks without a parent. */
  readonly dummyPrefix: string;
  readonly routesByInterface: (network: Network) => boolean;
  /** Throws for a mode that there is not. */
  readonly checkMode: (spec: NetworkSpec) => unknown;
  /** The container's interface, but name and MTU. */
  readonly link: (network: Network, link: LinkRequest, parent: number) => Pick<NewLink, "kind" | "mac">;
}

/** A driver whose containers have an interface on an interface of the host's (see `ParentInterface`), and no bridge between. */
export function createParentDriver(deps: ParentDriverDeps, kind: ParentKind): NetworkDriver {
  const parent = new ParentInterface(deps.netlink, kind.dummyPrefix);
  return {
    name: kind.name,
    addressless: false,
    publishes: false,
    routesByInterface: kind.routesByInterface,
    validate(spec) {
      kind.checkMode(spec);
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
        ...(size === undefined ? {} : { mtu: size }),
        ...kind.link(network, link, parent.index(network)),
      });
    },
    // The interface lives in the container's namespace alone and dies with it; `disconnect` deletes it there.
    removeLink: () => undefined,
  };
}
