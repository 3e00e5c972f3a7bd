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

/** Routes (rtnetlink(7)). Addresses are raw bytes: 4 or 16. */
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_METRIC = 6;
const RTA_TABLE = 15;

export interface RouteInfo {
  readonly family: 4 | 6;
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly gateway: Uint8Array | undefined;
  readonly index: number;
  /** 254 is the main table. */
  readonly table: number;
  /** 1 unicast, 2 local, 7 unreachable, ... (RTN_*). */
  readonly type: number;
}

export interface Route {
  /** Absent: the default route of the gateway's family. */
  readonly destination?: { readonly address: Uint8Array; readonly prefixLength: number };
  readonly family: 4 | 6;
  readonly gateway?: Uint8Array;
  readonly source?: Uint8Array;
  readonly index: number;
  readonly metric?: number;
}

function routeMessage(type: number, flags: number, route: Route): NetlinkMessage {
  // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
  const scope = route.gateway === undefined && route.family === 4 ? 253 : 0;
  const header = Buffer.from([
    route.family === 4 ? AF_INET : AF_INET6,
    route.destination?.prefixLength ?? 0,
    0,
    0,
    254,
    type === RTM_NEWROUTE ? 3 : 0,
    type === RTM_NEWROUTE ? scope : 255,
    type === RTM_NEWROUTE ? 1 : 0,
    0,
    0,
    0,
    0,
  ]);
  const message = new NetlinkMessage(type, flags, header, `route on link ${route.index}`);
  if (route.destination) message.bytes(RTA_DST, route.destination.address);
  if (route.gateway) message.bytes(RTA_GATEWAY, route.gateway);
  if (route.source) message.bytes(RTA_PREFSRC, route.source);
  if (route.metric !== undefined) message.u32(RTA_METRIC, route.metric);
  return message.u32(RTA_OIF, route.index);
}

/** Adds or replaces. */
export function newRouteMessage(route: Route): NetlinkMessage {
  return routeMessage(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, route);
}

export function deleteRouteMessage(route: Route): NetlinkMessage {
  return routeMessage(RTM_DELROUTE, NLM_F_ACK, route);
}

export function listRoutes(netlink: NetlinkSocket): readonly RouteInfo[] {
  const message = new NetlinkMessage(RTM_GETROUTE, NLM_F_DUMP, Buffer.alloc(12), "list routes");
  return netlink.request(message).flatMap((reply) => {
    const family = reply.payload[0];
    if (family !== AF_INET && family !== AF_INET6) return [];
    const found = attributes(reply.payload, 12);
    const destination = found.get(RTA_DST);
    const gateway = found.get(RTA_GATEWAY);
    return [
      {
        family: family === AF_INET ? (4 as const) : (6 as const),
        destination: destination ? new Uint8Array(destination) : new Uint8Array(family === AF_INET ? 4 : 16),
        prefixLength: reply.payload[1] ?? 0,
        gateway: gateway ? new Uint8Array(gateway) : undefined,
        index: found.get(RTA_OIF)?.readUInt32LE(0) ?? 0,
        table: found.get(RTA_TABLE)?.readUInt32LE(0) ?? reply.payload[4] ?? 0,
        type: reply.payload[7] ?? 0,
      },
    ];
  });
}
