import { attributes, NetlinkMessage, type NetlinkSocket, NLM_F_DUMP } from "./netlink.ts";

/** Base chains of the nf_tables of this network (include/uapi/linux/netfilter/nf_tables.h), by netlink: libnftables would read whole rulesets. */
const NFT_MSG_GETCHAIN = (10 << 8) | 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_HOOK_HOOKNUM = 1;
const NF_INET_FORWARD = 2;
const NF_DROP = 0;
/** The families whose forward hook sees IP packets. */
const families: Readonly<Record<number, ForwardChain["family"]>> = { 1: "inet", 2: "ip", 10: "ip6" };

export interface ForwardChain {
  readonly family: "inet" | "ip" | "ip6";
  readonly table: string;
  readonly name: string;
  readonly policyDrops: boolean;
}

/** The filter chains that every forwarded IP packet passes. A packet goes on only when all of them accept it (nft(8)). */
export function listForwardChains(netlink: NetlinkSocket): readonly ForwardChain[] {
  const unspecified = Uint8Array.of(0, 0, 0, 0);
  const message = new NetlinkMessage(NFT_MSG_GETCHAIN, NLM_F_DUMP, unspecified, "list nftables chains");
  return netlink.request(message).flatMap((reply) => {
    const family = families[reply.payload[0] ?? 0];
    const chain = attributes(reply.payload, 4);
    const hook = chain.get(NFTA_CHAIN_HOOK);
    if (!family || !hook || text(chain.get(NFTA_CHAIN_TYPE)) !== "filter") return [];
    if (attributes(hook).get(NFTA_HOOK_HOOKNUM)?.readUInt32BE(0) !== NF_INET_FORWARD) return [];
    return [
      {
        family,
        table: text(chain.get(NFTA_CHAIN_TABLE)),
        name: text(chain.get(NFTA_CHAIN_NAME)),
        policyDrops: chain.get(NFTA_CHAIN_POLICY)?.readUInt32BE(0) === NF_DROP,
      },
    ];
  });
}

function text(bytes: Buffer | undefined): string {
  return bytes ? bytes.toString("utf8", 0, bytes.length - 1) : "";
}
