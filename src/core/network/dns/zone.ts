import { formatIp, parseIp } from "../../../base/lib/ip.ts";
import type { DnsAttachment, DnsContainer } from "./protocol.ts";

/** What names mean, seen from a container: pure. */
export interface ZoneAnswer {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

interface Member {
  readonly container: DnsContainer;
  readonly attachment: DnsAttachment;
}

const fold = (name: string) => name.toLowerCase().replace(/\.$/, "");

/** All containers that have names, indexed by network. */
export class Zone {
  readonly #containers = new Map<string, DnsContainer>();
  readonly #names = new Map<string, Map<string, Member[]>>();
  readonly #addresses = new Map<string, Map<string, string>>();
  #turn = 0;

  get size(): number {
    return this.#containers.size;
  }

  get(id: string): DnsContainer | undefined {
    return this.#containers.get(id);
  }

  ids(): readonly string[] {
    return [...this.#containers.keys()];
  }

  put(container: DnsContainer): void {
    this.delete(container.id);
    this.#containers.set(container.id, container);
    for (const attachment of container.networks) {
      const names = this.#names.get(attachment.network) ?? new Map<string, Member[]>();
      this.#names.set(attachment.network, names);
      for (const name of new Set(attachment.names.map(fold))) {
        names.set(name, [...(names.get(name) ?? []), { container, attachment }]);
      }
      const addresses = this.#addresses.get(attachment.network) ?? new Map<string, string>();
      this.#addresses.set(attachment.network, addresses);
      for (const address of [attachment.ipv4, attachment.ipv6]) {
        if (address !== "") addresses.set(address, `${attachment.canonicalName}.${attachment.networkName}`);
      }
    }
  }

  delete(id: string): void {
    const container = this.#containers.get(id);
    if (!container) return;
    this.#containers.delete(id);
    for (const attachment of container.networks) {
      const names = this.#names.get(attachment.network);
      for (const name of new Set(attachment.names.map(fold))) {
        const rest = (names?.get(name) ?? []).filter((member) => member.container.id !== id);
        if (rest.length > 0) names?.set(name, rest);
        else names?.delete(name);
      }
      if (names?.size === 0) this.#names.delete(attachment.network);
      const addresses = this.#addresses.get(attachment.network);
      for (const address of [attachment.ipv4, attachment.ipv6]) addresses?.delete(address);
      if (addresses?.size === 0) this.#addresses.delete(attachment.network);
    }
  }

  /**
   * Addresses of a name for a container, from the first of its networks that knows it; undefined: nobody here has the
   * name. `name.network` asks one network. Several containers of one name come in turning order.
   */
  lookup(container: DnsContainer, query: string): ZoneAnswer | undefined {
    const name = fold(query);
    for (const attachment of container.networks) {
      const suffix = `.${attachment.networkName.toLowerCase()}`;
      const bare = name.endsWith(suffix) ? name.slice(0, -suffix.length) : undefined;
      const members =
        this.#members(attachment, name) ?? (bare === undefined ? undefined : this.#members(attachment, bare));
      if (!members) continue;
      const start = this.#turn++ % members.length;
      const ordered = [...members.slice(start), ...members.slice(0, start)];
      return {
        ipv4: ordered.map((member) => member.attachment.ipv4).filter((address) => address !== ""),
        ipv6: ordered.map((member) => member.attachment.ipv6).filter((address) => address !== ""),
      };
    }
    return undefined;
  }

  #members(attachment: DnsAttachment, name: string): readonly Member[] | undefined {
    const known = this.#names.get(attachment.network);
    for (const [alias, target] of Object.entries(attachment.links)) {
      if (fold(alias) !== name) continue;
      const folded = fold(target);
      // A link names a container, by name or by id of any length.
      const linked = known?.get(folded) ?? known?.get(folded.slice(0, 12));
      if (linked) return linked;
    }
    return known?.get(name);
  }

  /** The name of an address for a PTR query (`4.3.2.1.in-addr.arpa`, `….ip6.arpa`). */
  reverse(container: DnsContainer, query: string): string | undefined {
    const address = reverseAddress(query);
    if (address === undefined) return undefined;
    for (const attachment of container.networks) {
      const name = this.#addresses.get(attachment.network)?.get(address);
      if (name !== undefined) return name;
    }
    return undefined;
  }
}

function reverseAddress(query: string): string | undefined {
  const name = fold(query);
  let text: string | undefined;
  if (name.endsWith(".in-addr.arpa")) text = name.slice(0, -13).split(".").reverse().join(".");
  else if (name.endsWith(".ip6.arpa")) {
    const digits = name.slice(0, -9).split(".");
    if (digits.length !== 32 || digits.some((digit) => !/^[0-9a-f]$/.test(digit))) return undefined;
    text = digits
      .reverse()
      .join("")
      .replace(/(.{4})(?=.)/g, "$1:");
  }
  const address = text === undefined ? undefined : parseIp(text);
  return address && formatIp(address);
}
