import type { Log } from "../../../base/lib/log.ts";
import type { NetlinkSocket } from "../../../base/sys/net/netlink.ts";
import { listInetTables, listSetElements } from "../../../base/sys/net/nft-tables.ts";
import { type Nftables, openNftables } from "../../../base/sys/net/nftables.ts";
import type { CutOffBridge } from "../cut-off.ts";
import type { Network } from "../network.ts";
import type { TakenPort } from "../ports.ts";
import {
  changeCommands,
  type Elements,
  noElements,
  type PublishedEndpoint,
  publishElements,
  removeCommands,
  rulesetCommands,
} from "./firewall.ts";
import { publicationMaps, publishedPorts } from "./read.ts";

/** What should be in force: read from the records each time, so that nothing here can be stale. */
export interface FirewallState {
  /** Bridge networks. */
  networks(): readonly Network[];
  /** Bridges of networks whose records cannot be read. */
  cutOff(): readonly CutOffBridge[];
  /** Attached endpoints with publications. */
  published(): readonly PublishedEndpoint[];
  /** Published ports answer at the containers' addresses, too. */
  readonly direct: boolean;
}

/** Puts the rules of `firewall.ts` into the kernel, one transaction a change, and heals a table that somebody flushed. */
export class Firewall implements Disposable {
  readonly #table: string;
  readonly #netfilter: NetlinkSocket;
  readonly #state: FirewallState;
  readonly #log: Log;
  #nft: Nftables | undefined;

  /** `netfilter`: a NETLINK_NETFILTER socket on the host's network. */
  constructor(table: string, netfilter: NetlinkSocket, state: FirewallState, log: Log) {
    this.#table = table;
    this.#netfilter = netfilter;
    this.#state = state;
    this.#log = log;
    // At once, while descriptor numbers are small: libnftables waits with select(2).
    this.#nft = openNftables();
  }

  get nft(): Nftables {
    this.#nft ??= openNftables();
    return this.#nft;
  }

  #run(commands: string): void {
    this.nft.run(commands);
  }

  [Symbol.dispose](): void {
    this.#nft?.[Symbol.dispose]();
    this.#nft = undefined;
  }

  /** What publishes an endpoint's ports. */
  elementsOf(endpoint: PublishedEndpoint): Elements {
    return publishElements(endpoint, this.#state.direct);
  }

  /** The whole table anew from the records, atomically: traffic never sees a moment without rules. */
  assertAll(): void {
    const elements = new Map(this.#state.published().flatMap((endpoint) => [...this.elementsOf(endpoint)]));
    this.#run(
      removeCommands(this.#table) + this.#ruleset() + changeCommands(this.#table, noElements, elements),
    );
  }

  /** After a network came or went: new rules, published ports untouched. */
  networksChanged(): void {
    this.#run(this.#ruleset());
  }

  #ruleset(): string {
    const { direct } = this.#state;
    return rulesetCommands(this.#table, this.#state.networks(), { direct, cutOff: this.#state.cutOff() });
  }

  /** One endpoint's publications change. Call it after the records say `after`, since healing reads them. */
  change(before: Elements, after: Elements): void {
    const commands = changeCommands(this.#table, before, after);
    if (commands === "") return;
    try {
      this.#run(commands);
    } catch (error) {
      this.#log.warn("published ports did not fit the nftables table, writing it anew", { error });
      this.assertAll();
    }
  }

  /**
   * Ports that other daemons of this kind publish on this host. Nobody listens on them, so a bind would not tell; their tables do.
   */
  foreignPorts(): readonly TakenPort[] {
    return listInetTables(this.#netfilter)
      .filter((name) => name !== this.#table && /^tug(-[0-9a-f]{8})?$/.test(name))
      .flatMap((table) =>
        publicationMaps.flatMap((map) =>
          listSetElements(this.#netfilter, table, map)
            .flatMap((element) => publishedPorts(map, element))
            .map((port) => ({ ...port, holder: `another daemon, nftables table inet ${table}` })),
        ),
      );
  }

  /** False when somebody removed the table: `nft flush ruleset`, or a reload of rules that begins with it. */
  isPresent(): boolean {
    return listInetTables(this.#netfilter).includes(this.#table);
  }

  removeAll(): void {
    this.#run(removeCommands(this.#table));
  }
}
