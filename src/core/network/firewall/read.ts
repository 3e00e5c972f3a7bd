import { formatIp, ipFromBytes } from "../../../base/lib/ip.ts";
import type { TakenPort } from "../ports.ts";

/** Reading what other daemons of this kind published, from the maps of `firewall.ts`. Pure. */
export const publicationMaps = ["any4", "any6", "publish4", "publish6", "range4", "range6"] as const;

const protocols: Readonly<Record<number, TakenPort["protocol"]>> = { 6: "tcp", 17: "udp", 132: "sctp" };

/** An element's key: protocol, then (but for any4 and any6) an address, then a port; each padded to four bytes. */
export interface PublicationKey {
  readonly key: Buffer;
  readonly keyEnd: Buffer | undefined;
}

/** The ports an element publishes: one, or all of an interval. */
export function publishedPorts(
  map: (typeof publicationMaps)[number],
  element: PublicationKey,
): readonly TakenPort[] {
  const family = map.endsWith("6") ? 6 : 4;
  const addressLength = map.startsWith("any") ? 0 : family === 4 ? 4 : 16;
  const portAt = 4 + addressLength;
  const { key, keyEnd } = element;
  const protocol = protocols[key[0] ?? 0];
  if (!protocol || key.length < portAt + 2) return [];
  const address = key.subarray(4, portAt);
  // An interval over all addresses begins with the unspecified one.
  const hostIp = addressLength === 0 ? (family === 4 ? "0.0.0.0" : "::") : formatIp(ipFromBytes(address));
  const first = key.readUInt16BE(portAt);
  const last = keyEnd && keyEnd.length >= portAt + 2 ? keyEnd.readUInt16BE(portAt) : first;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => ({
    protocol,
    hostIp,
    hostPort: first + i,
  }));
}
