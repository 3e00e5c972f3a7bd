import { writeFileSync } from "node:fs";
import { type IpAddress, ipBytes } from "../../base/lib/ip.ts";
import { SystemError } from "../../base/sys/libc.ts";
import { newAddressMessage } from "../../base/sys/net/addresses.ts";
import { deleteLink, getLink, listLinks, setLinkMessage } from "../../base/sys/net/links.ts";
import type { NetlinkMessage, NetlinkSocket } from "../../base/sys/net/netlink.ts";
import { openRouteSocket } from "../../base/sys/net/netlink.ts";
import { inNetworkNamespace } from "../../base/sys/net/netns.ts";
import { deleteRouteMessage, listRoutes, newRouteMessage } from "../../base/sys/net/routes.ts";

/** An address with its prefix length, as an interface gets it. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/**
 * A container's network namespace seen from the daemon: a netlink socket made inside it, used from outside. Dispose it
 * soon, an open socket keeps the namespace alive.
 */
export class SandboxNetwork implements Disposable {
  readonly #netns: number;
  readonly #netlink: NetlinkSocket;

  constructor(netns: number) {
    this.#netns = netns;
    this.#netlink = inNetworkNamespace(netns, openRouteSocket);
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }

  /** The next free `<prefix>N`. */
  nextInterface(prefix: string): string {
    const taken = new Set(listLinks(this.#netlink).map((link) => link.name));
    for (let i = 0; ; i++) {
      if (!taken.has(`${prefix}${i}`)) return `${prefix}${i}`;
    }
  }

  loopbackUp(): void {
    this.#netlink.run(setLinkMessage("lo", { up: true }));
  }

  /** Gives an interface its addresses and brings it (and lo) up. */
  configure(
    name: string,
    addresses: readonly InterfaceAddress[],
    sysctls: Readonly<Record<string, string>> = {},
  ): void {
    const link = getLink(this.#netlink, name);
    if (!link) throw new SystemError(19, "netlink", `interface ${name}`);
    const v6 = addresses.some((one) => one.address.family === 6);
    inNetworkNamespace(this.#netns, () => {
      // Without an IPv6 address there shall be no link-local one either; the file is missing on hosts without IPv6.
      sysctl(`net/ipv6/conf/${name}/disable_ipv6`, v6 ? "0" : "1", true);
      // Addresses are unique by record; on a hairpin port the interface would take its own solicitation for a duplicate.
      if (v6) sysctl(`net/ipv6/conf/${name}/accept_dad`, "0", true);
      for (const [key, value] of Object.entries(sysctls)) sysctl(key, value, false);
    });
    const messages: NetlinkMessage[] = [
      setLinkMessage("lo", { up: true }),
      setLinkMessage(link.index, { up: true }),
      ...addresses.map((one) => newAddressMessage(link.index, ipBytes(one.address), one.prefixLength)),
    ];
    this.#netlink.run(...messages);
  }

  /** Takes an interface away; one that is gone already is no failure. */
  deleteInterface(name: string): void {
    deleteLink(this.#netlink, name);
  }

  /** Makes the default route of a family go through a link (and gateway); undefined: drops it. */
  setDefaultRoute(
    family: 4 | 6,
    through: { readonly name: string; readonly gateway: IpAddress | undefined } | undefined,
  ): void {
    const link = through && getLink(this.#netlink, through.name);
    const gateway = through?.gateway && ipBytes(through.gateway);
    if (link) {
      this.#netlink.run(newRouteMessage({ family, index: link.index, ...(gateway ? { gateway } : {}) }));
    }
    for (const route of listRoutes(this.#netlink)) {
      // IPv6 keeps several default routes side by side (multipath): those through other links go.
      const isDefault =
        route.family === family && route.prefixLength === 0 && route.table === 254 && route.type === 1;
      if (!isDefault || route.index === link?.index) continue;
      const old = route.gateway ? { gateway: route.gateway } : {};
      this.#netlink.run(deleteRouteMessage({ family, index: route.index, ...old }));
    }
  }
}

function sysctl(name: string, value: string, optional: boolean): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
  } catch (error) {
    if (!optional) throw error;
  }
}
