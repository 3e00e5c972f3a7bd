import { readFileSync } from "node:fs";
import { TugError } from "../../../base/lib/errors.ts";
import type { Log } from "../../../base/lib/log.ts";
import { Mutex } from "../../../base/lib/mutex.ts";
import type { NetlinkSocket } from "../../../base/sys/net/netlink.ts";
import { type ForwardChain, listForwardChains } from "../../../base/sys/net/nft-chains.ts";
import type { Nftables } from "../../../base/sys/net/nftables.ts";
import { planIptables } from "./iptables.ts";
import { planChain, rulesOf } from "./nft-chain.ts";
import type { RunProgram } from "./programs.ts";

export interface ForwardingDeps {
  readonly instance: string;
  /** A NETLINK_NETFILTER socket on the host's network. */
  readonly netfilter: NetlinkSocket;
  readonly nft: () => Nftables;
  readonly run: RunProgram;
  readonly log: Log;
  /** `--iptables=false`: hands off rules of others. */
  readonly enabled: boolean;
}

/** One iptables of the host: its programs, for one family. */
interface Iptables {
  readonly list: string;
  readonly restore: string;
}

/**
 * Where another firewall of the host drops what it does not know, containers would have no network: a forwarded packet goes on only
 * when every table accepts it (nft(8)). So ours is let through there, as the administrator would do it: with iptables in iptables' chains, with
 * firewall-cmd in firewalld's, with nft in others. What may reach a container is still decided by our own table.
 */
export class Forwarding {
  readonly #deps: ForwardingDeps;
  readonly #mutex = new Mutex();
  /** Bridges in firewalld's trusted zone that this daemon put there. */
  readonly #trusted = new Set<string>();
  readonly #warned = new Set<string>();
  /** The iptables over nf_tables for a family, once found. */
  readonly #tools = new Map<string, Iptables>();

  constructor(deps: ForwardingDeps) {
    this.#deps = deps;
  }

  /** Makes other firewalls accept exactly these bridges; costs next to nothing where they do, or accept everything. */
  async allow(bridges: readonly string[]): Promise<void> {
    if (this.#deps.enabled) await this.#mutex.run(() => this.#bring(bridges));
  }

  /** Takes back what `allow` put anywhere, also what a daemon before this one did. */
  async withdraw(): Promise<void> {
    await this.#mutex.run(() => this.#bring([]));
  }

  async #bring(bridges: readonly string[]): Promise<void> {
    const chains = listForwardChains(this.#deps.netfilter).filter(
      (chain) => !/^tug(-|$)/.test(chain.table) && chain.table !== this.#deps.instance,
    );
    for (const chain of chains) {
      await this.#guard(`${chain.family} ${chain.table} ${chain.name}`, async () => {
        if (chain.table === "firewalld" && (await this.#inFirewalld(bridges))) return;
        const tool = await this.#toolOf(chain);
        if (!tool || !(await this.#inIptables(tool, bridges))) this.#inChain(chain, bridges);
      });
    }
    for (const family of [4, 6] as const) {
      if (!legacyFilter(family)) continue;
      const name = family === 4 ? "iptables" : "ip6tables";
      const legacy = { list: `${name}-legacy`, restore: `${name}-legacy-restore` };
      const plain = { list: name, restore: `${name}-restore` };
      await this.#guard(`legacy ${name}`, async () => {
        if ((await this.#inIptables(legacy, bridges)) || (await this.#inIptables(plain, bridges))) return;
        throw new TugError("internal", `${name} is not installed`);
      });
    }
  }

  /** A firewall that cannot be changed is worth a warning, not a daemon that does not start. */
  async #guard(where: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#warned.delete(where);
    } catch (error) {
      if (this.#warned.has(where)) return;
      this.#warned.add(where);
      this.#deps.log.warn(
        "another firewall may drop packets of containers: it could not be told to let them pass",
        {
          firewall: where,
          error,
        },
      );
    }
  }

  /** The iptables over nf_tables, when the chain is its FORWARD. */
  async #toolOf(chain: ForwardChain): Promise<Iptables | undefined> {
    if (chain.family === "inet" || chain.table !== "filter" || chain.name !== "FORWARD") return undefined;
    const known = this.#tools.get(chain.family);
    if (known) return known;
    const plain = chain.family === "ip" ? "iptables" : "ip6tables";
    for (const name of [`${plain}-nft`, plain]) {
      const version = await this.#deps.run([name, "--version"]);
      if (!version?.ok || !version.output.includes("nf_tables")) continue;
      const tool = { list: name, restore: `${name}-restore` };
      this.#tools.set(chain.family, tool);
      return tool;
    }
    return undefined;
  }

  /** False when the tool is missing or cannot read the table. */
  async #inIptables(tool: Iptables, bridges: readonly string[]): Promise<boolean> {
    const { run, instance } = this.#deps;
    const listing = await run([tool.list, "-w", "5", "-S"]);
    if (!listing?.ok) return false;
    const commands = planIptables(listing.output, { instance, bridges });
    if (commands === undefined) return true;
    const result = await run([tool.restore, "--noflush", "-w", "5"], commands);
    if (!result?.ok) throw new TugError("internal", `${tool.restore}: ${result?.output ?? "not installed"}`);
    return true;
  }

  #inChain(chain: ForwardChain, bridges: readonly string[]): void {
    const nft = this.#deps.nft();
    const rules = rulesOf(nft.query(`list chain ${chain.family} ${chain.table} ${chain.name}`));
    const commands = planChain(chain, rules, { instance: this.#deps.instance, bridges });
    if (commands !== "") nft.run(commands);
  }

  /**
   * firewalld rebuilds its table at each reload, and newer ones lock it, so its own tool is asked: interfaces of the zone "trusted" are let
   * through, and stay there over a reload. False when firewalld does not answer.
   */
  async #inFirewalld(bridges: readonly string[]): Promise<boolean> {
    const { run } = this.#deps;
    const zone = "--zone=trusted";
    const listed = await run(["firewall-cmd", zone, "--list-interfaces"]);
    if (!listed?.ok) return false;
    const present = new Set(listed.output.trim().split(/\s+/));
    for (const bridge of bridges) {
      if (!present.has(bridge)) {
        const result = await run(["firewall-cmd", zone, `--change-interface=${bridge}`]);
        if (!result?.ok) throw new TugError("internal", `firewall-cmd: ${result?.output ?? "gone"}`);
      }
      this.#trusted.add(bridge);
    }
    for (const bridge of [...this.#trusted].filter((one) => !bridges.includes(one))) {
      if (present.has(bridge)) await run(["firewall-cmd", zone, `--remove-interface=${bridge}`]);
      this.#trusted.delete(bridge);
    }
    return true;
  }
}

/** Whether the old xtables filter table is in use; reading this file loads nothing, which listing the table would. */
function legacyFilter(family: 4 | 6): boolean {
  try {
    const tables = readFileSync(`/proc/thread-self/net/${family === 4 ? "ip" : "ip6"}_tables_names`, "utf8");
    return tables.split("\n").includes("filter");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
