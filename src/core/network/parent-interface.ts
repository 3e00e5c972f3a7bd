import { invalid, TugError } from "../../base/lib/errors.ts";
import { SystemError } from "../../base/sys/libc.ts";
import {
  deleteLink,
  getLink,
  type NewLink,
  newLinkMessage,
  setLinkMessage,
} from "../../base/sys/net/links.ts";
import type { NetlinkSocket } from "../../base/sys/net/netlink.ts";
import type { Network, NetworkSpec } from "./network.ts";
import { isInterfaceName } from "./options.ts";

/**
 * What macvlan and ipvlan share: they hang on a `parent` interface of the host: one that exists, `eth0.10` (a VLAN made on demand),
 * or, when none is named, a dummy of their own that connects the containers of this network alone.
 */
export class ParentInterface {
  readonly #netlink: NetlinkSocket;
  readonly #dummyPrefix: string;

  constructor(netlink: NetlinkSocket, dummyPrefix: string) {
    this.#netlink = netlink;
    this.#dummyPrefix = dummyPrefix;
  }

  name(network: Network): string {
    return network.options["parent"] || `${this.#dummyPrefix}-${network.id.slice(0, 12)}`;
  }

  validate(spec: NetworkSpec): void {
    const parent = spec.options["parent"];
    if (!parent) return;
    if (!isInterfaceName(parent)) throw invalid(`invalid parent interface name: ${parent}`);
    if (parent === "lo") throw invalid("loopback interface is not a valid parent link");
    if (getLink(this.#netlink, parent) || vlanOf(parent)) return;
    throw invalid(`invalid subinterface vlan name ${parent}, example formatting is eth0.10`);
  }

  ensure(network: Network): void {
    const name = this.name(network);
    if (getLink(this.#netlink, name)) return;
    const vlan = network.options["parent"] ? vlanOf(name) : undefined;
    if (!vlan) {
      if (network.options["parent"]) throw invalid(`parent interface ${name} does not exist`);
      addLink(this.#netlink, { name, kind: { type: "dummy" }, up: true });
      return;
    }
    const base = getLink(this.#netlink, vlan.parent);
    if (!base) throw invalid(`failed to find master interface ${vlan.parent} on the host`);
    addLink(this.#netlink, { name, kind: { type: "vlan", parent: base.index, id: vlan.id } });
    this.#netlink.run(setLinkMessage(name, { up: true }));
  }

  index(network: Network): number {
    const link = getLink(this.#netlink, this.name(network));
    if (!link)
      throw new TugError("internal", `parent interface ${this.name(network)} of ${network.name} is gone`);
    return link.index;
  }

  /** Removes what `ensure` made, unless another network shares it. */
  remove(network: Network, shared: boolean): void {
    const name = this.name(network);
    if (network.adoptsInterface || shared) return;
    deleteLink(this.#netlink, name);
  }
}

function vlanOf(name: string): { readonly parent: string; readonly id: number } | undefined {
  const match = /^(.+)\.(\d{1,4})$/.exec(name);
  const id = Number(match?.[2]);
  return match?.[1] !== undefined && id >= 1 && id <= 4094 ? { parent: match[1], id } : undefined;
}

/** Makes a link; a kernel built without its kind says so in words a user can act on. */
export function addLink(netlink: NetlinkSocket, link: NewLink): void {
  try {
    netlink.run(newLinkMessage(link));
  } catch (error) {
    if (error instanceof SystemError && error.code === "EOPNOTSUPP") {
      throw new TugError("not-implemented", `this kernel has no ${link.kind.type} interfaces`, {
        cause: error,
      });
    }
    throw error;
  }
}
