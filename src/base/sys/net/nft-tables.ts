import { SystemError } from "../libc.ts";
import { attributeList, attributes, NetlinkMessage, type NetlinkSocket, NLM_F_DUMP } from "./netlink.ts";

/**
 * The little of nf_tables that is asked so often that libnftables, which reads whole rulesets first, would be slow
 * (include/uapi/linux/netfilter/nf_tables.h). All for `inet` tables, over a NETLINK_NETFILTER socket.
 */
const subsystem = 10 << 8;
const NFT_MSG_GETTABLE = subsystem | 1;
const NFT_MSG_GETSETELEM = subsystem | 13;
const NFTA_TABLE_NAME = 1;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_KEY_END = 10;
const NFTA_DATA_VALUE = 1;
const header = Uint8Array.of(1, 0, 0, 0);

export function listInetTables(netlink: NetlinkSocket): readonly string[] {
  const message = new NetlinkMessage(NFT_MSG_GETTABLE, NLM_F_DUMP, header, "list nftables tables");
  return netlink.request(message).flatMap((reply) => {
    const name = attributes(reply.payload, 4).get(NFTA_TABLE_NAME);
    return name ? [name.toString("utf8", 0, name.length - 1)] : [];
  });
}

/** A key as the kernel holds it: the fields of a concatenation one after the other, each padded to four bytes. */
export interface SetElement {
  readonly key: Buffer;
  /** Upper end of an interval. */
  readonly keyEnd: Buffer | undefined;
}

/** The elements of a set or map; none when there is no such table or set. */
export function listSetElements(netlink: NetlinkSocket, table: string, set: string): readonly SetElement[] {
  const message = new NetlinkMessage(
    NFT_MSG_GETSETELEM,
    NLM_F_DUMP,
    header,
    `list elements of ${table} ${set}`,
  )
    .text(NFTA_SET_ELEM_LIST_TABLE, table)
    .text(NFTA_SET_ELEM_LIST_SET, set);
  try {
    return netlink.request(message).flatMap((reply) => {
      const list = attributes(reply.payload, 4).get(NFTA_SET_ELEM_LIST_ELEMENTS);
      return (list ? attributeList(list) : []).flatMap((entry) => {
        const element = attributes(entry);
        const key = dataValue(element.get(NFTA_SET_ELEM_KEY));
        return key ? [{ key, keyEnd: dataValue(element.get(NFTA_SET_ELEM_KEY_END)) }] : [];
      });
    });
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return [];
    throw error;
  }
}

function dataValue(data: Buffer | undefined): Buffer | undefined {
  return data && attributes(data).get(NFTA_DATA_VALUE);
}
