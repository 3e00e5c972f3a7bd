import { attributes, NetlinkMessage, type NetlinkSocket, NLM_F_DUMP } from "./netlink.ts";

/** The little of nf_tables that is asked so often that libnftables, which reads whole rulesets first, would be slow. */
const NFT_MSG_GETTABLE = (10 << 8) | 1;
const NFTA_TABLE_NAME = 1;
const NFPROTO_INET = 1;

/** Names of the `inet` tables, over a NETLINK_NETFILTER socket. */
export function listInetTables(netlink: NetlinkSocket): readonly string[] {
  const message = new NetlinkMessage(
    NFT_MSG_GETTABLE,
    NLM_F_DUMP,
    Uint8Array.of(NFPROTO_INET, 0, 0, 0),
    "list nftables tables",
  );
  return netlink.request(message).flatMap((reply) => {
    const name = attributes(reply.payload, 4).get(NFTA_TABLE_NAME);
    return name ? [name.toString("utf8", 0, name.length - 1)] : [];
  });
}
