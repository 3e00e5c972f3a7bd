import { SystemError } from "../libc.ts";
import {
  attributes,
  NetlinkMessage,
  type NetlinkReply,
  type NetlinkSocket,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
} from "./netlink.ts";
import { AF_INET6 } from "./sockets.ts";

/**
 * Links of rtnetlink(7). The `…Message` functions only build, so that a caller can send a whole set-up as one batch through
 * `NetlinkSocket.run`; so do those for addresses and routes.
 */
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const AF_BRIDGE = 7;
const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_PROTINFO = 12;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_AF_SPEC = 26;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IFLA_BRPORT_STATE = 1;
const IFLA_BRPORT_MODE = 4;
const IFLA_BRPORT_FLUSH = 24;
const IFLA_BRPORT_ISOLATED = 33;

/** A link by name or by index. */
export type LinkRef = string | number;

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** Index of the bridge or bond it belongs to; 0: none. */
  readonly master: number;
}

export interface NewLink {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly master?: number;
  readonly up?: boolean;
  readonly kind:
    | { readonly type: "bridge" }
    | { readonly type: "dummy" }
    | {
        readonly type: "veth";
        readonly peer: { readonly name: string; readonly mac?: string; readonly netns?: number };
      }
    | {
        readonly type: "macvlan";
        readonly parent: number;
        readonly mode: MacvlanMode;
        readonly netns?: number;
      }
    | { readonly type: "ipvlan"; readonly parent: number; readonly mode: IpvlanMode; readonly netns?: number }
    | { readonly type: "vlan"; readonly parent: number; readonly id: number };
}

export type MacvlanMode = "private" | "vepa" | "bridge" | "passthru";
export type IpvlanMode = "l2" | "l3" | "l3s";
const macvlanModes: Readonly<Record<MacvlanMode, number>> = { private: 1, vepa: 2, bridge: 4, passthru: 8 };
const ipvlanModes: Readonly<Record<IpvlanMode, number>> = { l2: 0, l3: 1, l3s: 2 };

/** `struct ifinfomsg` */
function ifinfo(family: number, index: number, flags: number, change: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(":", ""), "hex");
}

function macText(bytes: Buffer | undefined): string {
  return bytes ? [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":") : "";
}

function target(link: LinkRef, family = 0, flags = 0, change = 0): [Buffer, string | undefined] {
  return typeof link === "number"
    ? [ifinfo(family, link, flags, change), undefined]
    : [ifinfo(family, 0, flags, change), link];
}

/** A new link; a veth's peer (and macvlan, ipvlan) can be made directly in another namespace under its final name. */
export function newLinkMessage(link: NewLink): NetlinkMessage {
  const up = link.up ? IFF_UP : 0;
  const message = new NetlinkMessage(
    RTM_NEWLINK,
    NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    ifinfo(0, 0, up, up),
    `add ${link.kind.type} ${link.name}`,
  ).text(IFLA_IFNAME, link.name);
  if (link.mac !== undefined) message.bytes(IFLA_ADDRESS, macBytes(link.mac));
  if (link.mtu !== undefined) message.u32(IFLA_MTU, link.mtu);
  if (link.master !== undefined) message.u32(IFLA_MASTER, link.master);
  const kind = link.kind;
  if ("parent" in kind) message.u32(IFLA_LINK, kind.parent);
  if ((kind.type === "macvlan" || kind.type === "ipvlan") && kind.netns !== undefined) {
    message.u32(IFLA_NET_NS_FD, kind.netns);
  }
  return message.nested(IFLA_LINKINFO, (info) => {
    info.text(IFLA_INFO_KIND, kind.type);
    if (kind.type === "bridge" || kind.type === "dummy") return;
    info.nested(IFLA_INFO_DATA, (data) => {
      if (kind.type === "macvlan") data.u32(1, macvlanModes[kind.mode]);
      else if (kind.type === "ipvlan") data.u16(1, ipvlanModes[kind.mode]);
      else if (kind.type === "vlan") data.u16(1, kind.id);
      else {
        data.nested(VETH_INFO_PEER, (peer) => {
          peer.raw(ifinfo(0, 0, 0, 0)).text(IFLA_IFNAME, kind.peer.name);
          if (kind.peer.mac !== undefined) peer.bytes(IFLA_ADDRESS, macBytes(kind.peer.mac));
          if (link.mtu !== undefined) peer.u32(IFLA_MTU, link.mtu);
          if (kind.peer.netns !== undefined) peer.u32(IFLA_NET_NS_FD, kind.peer.netns);
        });
      }
    });
  });
}

export interface LinkChange {
  readonly up?: boolean;
  readonly name?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** 0 takes it out of its bridge. */
  readonly master?: number;
  /** False: no IPv6 link-local address is generated. */
  readonly generateLinkLocal?: boolean;
}

export function setLinkMessage(link: LinkRef, change: LinkChange): NetlinkMessage {
  const [header, name] = target(link, 0, change.up ? IFF_UP : 0, change.up === undefined ? 0 : IFF_UP);
  const message = new NetlinkMessage(RTM_NEWLINK, NLM_F_ACK, header, `set link ${link}`);
  if (name !== undefined) message.text(IFLA_IFNAME, name);
  else if (change.name !== undefined) message.text(IFLA_IFNAME, change.name);
  if (change.mac !== undefined) message.bytes(IFLA_ADDRESS, macBytes(change.mac));
  if (change.mtu !== undefined) message.u32(IFLA_MTU, change.mtu);
  if (change.master !== undefined) message.u32(IFLA_MASTER, change.master);
  if (change.generateLinkLocal !== undefined) {
    message.nested(IFLA_AF_SPEC, (spec) =>
      spec.nested(AF_INET6, (v6) => v6.u8(IFLA_INET6_ADDR_GEN_MODE, change.generateLinkLocal ? 0 : 1)),
    );
  }
  return message;
}

export interface BridgePortChange {
  /** Isolated ports do not exchange frames with each other, only with the bridge itself. */
  readonly isolated?: boolean;
  readonly hairpin?: boolean;
  /** 0 disabled … 3 forwarding (BR_STATE_*). */
  readonly state?: number;
  /** Forgets the MAC addresses learnt on the port. */
  readonly flush?: boolean;
}

/** Settings of a bridge port; needs the index. */
export function setBridgePortMessage(index: number, change: BridgePortChange): NetlinkMessage {
  return new NetlinkMessage(
    RTM_SETLINK,
    NLM_F_ACK,
    ifinfo(AF_BRIDGE, index, 0, 0),
    `set bridge port ${index}`,
  ).nested(IFLA_PROTINFO, (port) => {
    if (change.state !== undefined) port.u8(IFLA_BRPORT_STATE, change.state);
    if (change.hairpin !== undefined) port.u8(IFLA_BRPORT_MODE, change.hairpin ? 1 : 0);
    if (change.isolated !== undefined) port.u8(IFLA_BRPORT_ISOLATED, change.isolated ? 1 : 0);
    if (change.flush) port.bytes(IFLA_BRPORT_FLUSH, new Uint8Array(0));
  });
}

export function deleteLinkMessage(link: LinkRef): NetlinkMessage {
  const [header, name] = target(link);
  const message = new NetlinkMessage(RTM_DELLINK, NLM_F_ACK, header, `delete link ${link}`);
  return name === undefined ? message : message.text(IFLA_IFNAME, name);
}

/** Takes a link away; one that is gone already is no failure. */
export function deleteLink(netlink: NetlinkSocket, link: LinkRef): void {
  const failure = netlink.batch([deleteLinkMessage(link)])[0];
  if (failure && failure.error.code !== "ENODEV") throw failure.error;
}

function parseLink(reply: NetlinkReply): LinkInfo {
  const found = attributes(reply.payload, 16);
  const name = found.get(IFLA_IFNAME);
  const info = found.get(IFLA_LINKINFO);
  const kind = info ? attributes(info).get(IFLA_INFO_KIND) : undefined;
  return {
    index: reply.payload.readInt32LE(4),
    name: name ? name.toString("utf8", 0, name.length - 1) : "",
    kind: kind ? kind.toString("utf8").replace(/\0+$/, "") : "",
    mac: macText(found.get(IFLA_ADDRESS)),
    mtu: found.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
    up: (reply.payload.readUInt32LE(8) & IFF_UP) !== 0,
    master: found.get(IFLA_MASTER)?.readUInt32LE(0) ?? 0,
  };
}

/** The link, or undefined when there is none of that name or index. */
export function getLink(netlink: NetlinkSocket, link: LinkRef): LinkInfo | undefined {
  const [header, name] = target(link);
  const message = new NetlinkMessage(RTM_GETLINK, 0, header, `get link ${link}`);
  if (name !== undefined) message.text(IFLA_IFNAME, name);
  try {
    const reply = netlink.request(message)[0];
    return reply && parseLink(reply);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENODEV") return undefined;
    throw error;
  }
}

export function listLinks(netlink: NetlinkSocket): readonly LinkInfo[] {
  const message = new NetlinkMessage(RTM_GETLINK, NLM_F_DUMP, ifinfo(0, 0, 0, 0), "list links");
  return netlink.request(message).map(parseLink);
}
