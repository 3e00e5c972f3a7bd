import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import type { DnsContainer } from "./protocol.ts";
import type { Zone } from "./zone.ts";

/**
 * Seconds a name may be remembered. Short, because a container that is replaced gets another address at once and programs
 * that honour the time (nginx) would go on asking the old one.
 */
const ttl = 5;
const rcode = { formatError: 1, serverFailure: 2, notImplemented: 4 } as const;

/** A reply to send, or the wish to ask an upstream server with the query as it came. */
export type Verdict =
  | { readonly kind: "reply"; readonly packet: Uint8Array }
  | { readonly kind: "forward" }
  | { readonly kind: "ignore" };

/** Bytes a UDP client can take: 512 (RFC 1035 4.2.1) unless it says more by EDNS(0) (RFC 6891 6.2.3). */
function payloadSize(query: Packet): number {
  const edns = query.additionals?.find((record) => record.type === "OPT");
  const size = edns?.type === "OPT" ? edns.udpPayloadSize : undefined;
  return Math.max(512, Math.min(size ?? 512, 4096));
}

/** Decides about one query of `container`. `stream`: it came over TCP, where size is no matter. */
export function answerQuery(
  zone: Zone,
  container: DnsContainer,
  message: Uint8Array,
  stream: boolean,
): Verdict {
  // Shorter than a header, or itself a response: answering could make two servers talk for ever.
  if (message.length < 12 || ((message[2] ?? 0) & 0x80) !== 0) return { kind: "ignore" };
  let query: Packet;
  try {
    query = decode(Buffer.from(message));
  } catch {
    // Whatever is wrong with it, the sender learns that it is malformed.
    return { kind: "reply", packet: errorReply(message, rcode.formatError) };
  }
  const opcode = ((message[2] ?? 0) >> 3) & 15;
  if (opcode !== 0) return { kind: "reply", packet: errorReply(message, rcode.notImplemented) };
  const question = query.questions?.[0];
  if (!question || query.questions?.length !== 1) {
    return { kind: "reply", packet: errorReply(message, rcode.formatError) };
  }
  const answers = localAnswers(zone, container, question.name, question.type);
  if (!answers) {
    if (container.external) return { kind: "forward" };
    return { kind: "reply", packet: errorReply(message, rcode.serverFailure) };
  }
  const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | ((query.flags ?? 0) & RECURSION_DESIRED);
  const reply: Packet = {
    type: "response",
    id: query.id ?? 0,
    flags,
    questions: [question],
    answers,
    additionals: query.additionals?.some((record) => record.type === "OPT")
      ? [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: 4096,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  };
  const packet = encode(reply);
  if (stream || packet.length <= payloadSize(query)) return { kind: "reply", packet };
  return { kind: "reply", packet: encode({ ...reply, flags: flags | TRUNCATED_RESPONSE, answers: [] }) };
}

/** Undefined: the name is none of ours. An empty list: it is, but has no record of this type (NODATA). */
function localAnswers(zone: Zone, container: DnsContainer, name: string, type: string): Answer[] | undefined {
  if (type === "PTR") {
    const target = zone.reverse(container, name);
    return target === undefined ? undefined : [{ type: "PTR", name, ttl, class: "IN", data: target }];
  }
  const found = zone.lookup(container, name);
  if (!found) return undefined;
  if (type === "A") return found.ipv4.map((data) => ({ type: "A", name, ttl, class: "IN", data }));
  if (type === "AAAA") return found.ipv6.map((data) => ({ type: "AAAA", name, ttl, class: "IN", data }));
  return [];
}

/** A bare reply with a response code; made from the raw query, which may not be decodable. */
function errorReply(query: Uint8Array, code: number): Uint8Array {
  const end = code === rcode.serverFailure ? questionEnd(query) : 12;
  const reply = Buffer.from(query.subarray(0, end));
  reply[2] = 0x80 | ((query[2] ?? 0) & 0x79);
  reply[3] = 0x80 | code;
  reply.writeUInt16BE(end > 12 ? 1 : 0, 4);
  reply.fill(0, 6, 12);
  return reply;
}

export function serverFailure(query: Uint8Array): Uint8Array {
  return errorReply(query, rcode.serverFailure);
}

/** Where the first question ends; 12 when there is none. */
export function questionEnd(message: Uint8Array): number {
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return 12;
    at += 1 + length;
    if (length === 0) break;
  }
  return at + 4 <= message.length ? at + 4 : 12;
}
