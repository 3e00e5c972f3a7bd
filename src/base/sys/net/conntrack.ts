import { SystemError } from "../libc.ts";
import { attributes, NetlinkMessage, NetlinkSocket, NLM_F_ACK, NLM_F_DUMP } from "./netlink.ts";

/** Connection tracking over nfnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h). */
const NETLINK_NETFILTER = 12;
const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const IPCTNL_MSG_CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_ID = 12;
const CTA_FILTER = 25;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const F_PROTO_NUM = 1 << 3;
const F_DST_PORT = 1 << 5;
const IPPROTO_UDP = 17;

const header = (family: 4 | 6) => Uint8Array.of(family === 4 ? 2 : 10, 0, 0, 0);
const portBytes = (port: number) => Uint8Array.of(port >> 8, port & 255);

/** A socket for connection tracking and nf_tables on the network of the calling thread. */
export function openNetfilterSocket(): NetlinkSocket {
  return new NetlinkSocket(NETLINK_NETFILTER);
}

/**
 * Forgets UDP flows sent to these ports of this host. UDP has no connections, so a flow that was tracked before its port was
 * published (or after) goes on with the old translation for as long as packets keep coming. Returns how many there were.
 * The kernel walks its whole table for a listing, so all ports are asked for at once.
 */
export function forgetUdpFlows(netlink: NetlinkSocket, family: 4 | 6, ports: ReadonlySet<number>): number {
  const [port, another] = ports;
  if (port === undefined) return 0;
  const about = `conntrack udp ${port}`;
  const single = another === undefined;
  const dump = new NetlinkMessage(IPCTNL_MSG_CT_GET, NLM_F_DUMP, header(family), about)
    .nested(CTA_TUPLE_ORIG, (tuple) =>
      tuple.nested(CTA_TUPLE_PROTO, (proto) => {
        proto.u8(CTA_PROTO_NUM, IPPROTO_UDP);
        if (single) proto.bytes(CTA_PROTO_DST_PORT, portBytes(port));
      }),
    )
    .nested(CTA_FILTER, (filter) =>
      filter
        .u32(CTA_FILTER_ORIG_FLAGS, single ? F_PROTO_NUM | F_DST_PORT : F_PROTO_NUM)
        .u32(CTA_FILTER_REPLY_FLAGS, 0),
    );
  const deletions = netlink.request(dump).flatMap((reply) => {
    const found = attributes(reply.payload, 4);
    const tuple = found.get(CTA_TUPLE_ORIG);
    const proto = tuple && attributes(tuple).get(CTA_TUPLE_PROTO);
    const fields = proto && attributes(proto);
    // Kernels before 5.8 know no filter and list everything.
    if (!tuple || fields?.get(CTA_PROTO_NUM)?.[0] !== IPPROTO_UDP) return [];
    if (!ports.has(fields.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0) ?? 0)) return [];
    const message = new NetlinkMessage(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, header(family), about);
    message.nested(CTA_TUPLE_ORIG, (copy) => copy.raw(tuple));
    const id = found.get(CTA_ID);
    return [id ? message.bytes(CTA_ID, id) : message];
  });
  const failures = netlink.batch(deletions).filter(({ error }) => error.code !== "ENOENT");
  if (failures[0]) throw failures[0].error;
  return deletions.length;
}

/** True when the failure only says that this kernel tracks no connections. */
export function isUntracked(error: unknown): boolean {
  return (
    error instanceof SystemError &&
    (error.code === "EOPNOTSUPP" || error.code === "EINVAL" || error.code === "ENOENT")
  );
}
