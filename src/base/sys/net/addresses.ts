import {
  attributes,
  NetlinkMessage,
  type NetlinkSocket,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
} from "./netlink.ts";
import { AF_INET, AF_INET6 } from "./sockets.ts";

/** Addresses of links (rtnetlink(7)), as raw bytes: 4 or 16. */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;

export interface AddressInfo {
  readonly index: number;
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** An address on a link; without duplicate address detection, so that it can be used at once (RFC 4862 5.4). */
export function newAddressMessage(index: number, address: Uint8Array, prefixLength: number): NetlinkMessage {
  const v6 = address.length === 16;
  const header = Buffer.alloc(8);
  header.writeUInt8(v6 ? AF_INET6 : AF_INET, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(index, 4);
  const message = new NetlinkMessage(
    RTM_NEWADDR,
    NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
    header,
    `add address on link ${index}`,
  )
    .bytes(IFA_LOCAL, address)
    .bytes(IFA_ADDRESS, address);
  if (v6) return message.u32(IFA_FLAGS, IFA_F_NODAD);
  if (prefixLength >= 31) return message;
  const broadcast = Buffer.from(address);
  broadcast.writeUInt32BE((broadcast.readUInt32BE(0) | (0xffffffff >>> prefixLength)) >>> 0, 0);
  return message.bytes(IFA_BROADCAST, broadcast);
}

export function deleteAddressMessage(
  index: number,
  address: Uint8Array,
  prefixLength: number,
): NetlinkMessage {
  const header = Buffer.alloc(8);
  header.writeUInt8(address.length === 16 ? AF_INET6 : AF_INET, 0);
  header.writeUInt8(prefixLength, 1);
  header.writeUInt32LE(index, 4);
  return new NetlinkMessage(RTM_DELADDR, NLM_F_ACK, header, `delete address on link ${index}`).bytes(
    IFA_LOCAL,
    address,
  );
}

export function listAddresses(netlink: NetlinkSocket): readonly AddressInfo[] {
  const message = new NetlinkMessage(RTM_GETADDR, NLM_F_DUMP, Buffer.alloc(8), "list addresses");
  return netlink.request(message).flatMap((reply) => {
    const family = reply.payload[0];
    if (family !== AF_INET && family !== AF_INET6) return [];
    const found = attributes(reply.payload, 8);
    const address = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
    if (!address) return [];
    return [
      {
        index: reply.payload.readUInt32LE(4),
        family: family === AF_INET ? (4 as const) : (6 as const),
        address: new Uint8Array(address),
        prefixLength: reply.payload[1] ?? 0,
      },
    ];
  });
}
