import { decode, encode, type Packet, type RecordType } from "dns-packet";
import { SystemError } from "../../../base/sys/libc.ts";
import { inNetworkNamespace, openNetworkNamespace } from "../../../base/sys/net/netns.ts";
import {
  AF_INET,
  closeFd,
  connect,
  receive,
  SOCK_DGRAM,
  SOCK_STREAM,
  send,
  setReceiveTimeout,
  socket,
  socketAddress,
} from "../../../base/sys/net/sockets.ts";

export interface DnsResult {
  readonly code: string;
  readonly answers: readonly string[];
  readonly truncated: boolean;
}

export interface QueryOptions {
  readonly type?: RecordType;
  /** Over TCP. */
  readonly stream?: boolean;
  /** Milliseconds until nobody answers: more than any resolver should need on a busy machine, unless no answer is the point. */
  readonly patience?: number;
}

/** Asks 127.0.0.11:53 inside the namespace of a process; "TIMEOUT" when nobody answers. */
export function query(pid: number, name: string, options: QueryOptions = {}): DnsResult {
  const { type = "A", stream = false, patience = 10_000 } = options;
  using netns = openNetworkNamespace(pid);
  const fd = inNetworkNamespace(netns.fd, () => socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM));
  try {
    setReceiveTimeout(fd, patience);
    connect(fd, socketAddress(Uint8Array.of(127, 0, 0, 11), 53));
    const message = encode({ type: "query", id: 4711, flags: 256, questions: [{ name, type }] });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    send(fd, stream ? Buffer.concat([length, message]) : message);
    let reply = Buffer.alloc(0);
    const buffer = new Uint8Array(65535);
    do {
      const got = receive(fd, buffer);
      if (!got) return { code: "TIMEOUT", answers: [], truncated: false };
      reply = Buffer.concat([reply, buffer.subarray(0, got)]);
    } while (stream && reply.length < 2 + reply.readUInt16BE(0));
    return result(decode(stream ? reply.subarray(2) : reply));
  } catch (error) {
    if (error instanceof SystemError) return { code: error.code, answers: [], truncated: false };
    throw error;
  } finally {
    closeFd(fd);
  }
}

function result(packet: Packet): DnsResult {
  const flags = packet.flags ?? 0;
  const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
  return {
    code: codes[flags & 15] ?? String(flags & 15),
    answers: (packet.answers ?? []).map((answer) => ("data" in answer ? String(answer.data) : "")),
    truncated: (flags & 512) !== 0,
  };
}
