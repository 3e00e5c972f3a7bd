import { SystemError } from "../libc.ts";
import {
  AF_NETLINK,
  bind,
  closeFd,
  receive,
  SOCK_RAW,
  send,
  setOption,
  setReceiveTimeout,
  socket,
} from "./sockets.ts";

/**
 * Netlink (netlink(7)): messages with attributes, sent in batches and answered synchronously. A socket belongs to the network
 * namespace it was made in; to work in another one, make it inside `inNetworkNamespace` and use it from anywhere.
 */
const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_CAPPED = 0x100;
const NLMSGERR_ATTR_MSG = 1;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NLA_F_NESTED = 0x8000;
const headerLength = 16;
/** Acknowledgements wait in the receive buffer while the kernel works on; it must not overflow (ENOBUFS). */
const maxUnacknowledged = 64;
const maxDumps = 8;

/** Builds one message: a fixed family header, then attributes, nested ones by callback. Integers are host order (little endian). */
export class NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** What an error names: "RTM_NEWLINK veth0". */
  readonly about: string;
  #bytes = Buffer.alloc(256);
  #length = headerLength;

  constructor(type: number, flags: number, header: Uint8Array, about: string) {
    this.type = type;
    this.flags = flags;
    this.about = about;
    this.#append(header);
  }

  #reserve(size: number): number {
    const at = this.#length;
    const end = at + ((size + 3) & ~3);
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(end * 2);
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = end;
    return at;
  }

  #append(data: Uint8Array): void {
    this.#bytes.set(data, this.#reserve(data.length));
  }

  /** Raw bytes inside the attribute stream, e.g. the `ifinfomsg` that opens VETH_INFO_PEER. */
  raw(data: Uint8Array): this {
    this.#append(data);
    return this;
  }

  bytes(type: number, data: Uint8Array): this {
    const at = this.#reserve(4 + data.length);
    this.#bytes.writeUInt16LE(4 + data.length, at);
    this.#bytes.writeUInt16LE(type, at + 2);
    this.#bytes.set(data, at + 4);
    return this;
  }

  text(type: number, value: string): this {
    return this.bytes(type, Buffer.from(`${value}\0`));
  }

  u8(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value));
  }

  u16(type: number, value: number): this {
    return this.bytes(type, Uint8Array.of(value & 255, value >> 8));
  }

  u32(type: number, value: number): this {
    const data = Buffer.alloc(4);
    data.writeUInt32LE(value >>> 0);
    return this.bytes(type, data);
  }

  nested(type: number, fill: (message: this) => void, flag = NLA_F_NESTED): this {
    const at = this.#reserve(4);
    fill(this);
    this.#bytes.writeUInt16LE(this.#length - at, at);
    this.#bytes.writeUInt16LE(type | flag, at + 2);
    return this;
  }

  /** The finished message with its sequence number. */
  encode(sequence: number): Buffer {
    const out = this.#bytes.subarray(0, this.#length);
    out.writeUInt32LE(this.#length, 0);
    out.writeUInt16LE(this.type, 4);
    out.writeUInt16LE(this.flags | NLM_F_REQUEST, 6);
    out.writeUInt32LE(sequence, 8);
    out.writeUInt32LE(0, 12);
    return out;
  }
}

/** Attributes of a received message by type; the last of a repeated type wins. */
export function attributes(payload: Buffer, offset = 0): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  let at = offset;
  while (at + 4 <= payload.length) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    found.set(payload.readUInt16LE(at + 2) & 0x3fff, payload.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

/** The entries of an attribute that is a list: repeated attributes of one type. */
export function attributeList(payload: Buffer): readonly Buffer[] {
  const entries: Buffer[] = [];
  let at = 0;
  while (at + 4 <= payload.length) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    entries.push(payload.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return entries;
}

export interface NetlinkReply {
  readonly type: number;
  /** After the 16-byte header. */
  readonly payload: Buffer;
}

/** One refused message of a batch. */
export interface NetlinkFailure {
  readonly index: number;
  readonly error: SystemError;
}

export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(1 << 16);
  #sequence = 1;
  #open = true;

  /** `protocol`: 0 NETLINK_ROUTE, 12 NETLINK_NETFILTER. Belongs to the calling thread's network namespace. */
  constructor(protocol: number) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      setOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
      setReceiveTimeout(this.#fd, 10_000);
      const address = new Uint8Array(12);
      address[0] = AF_NETLINK;
      bind(this.#fd, address, "netlink");
    } catch (error) {
      closeFd(this.#fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#open) closeFd(this.#fd);
    this.#open = false;
  }

  /**
   * Sends all messages in one call and waits for each acknowledgement. The kernel executes them in order and does not stop at a
   * failure, so the failures are returned, not thrown.
   */
  batch(messages: readonly NetlinkMessage[]): readonly NetlinkFailure[] {
    const failures: NetlinkFailure[] = [];
    for (let at = 0; at < messages.length; at += maxUnacknowledged) {
      for (const failure of this.#send(messages.slice(at, at + maxUnacknowledged))) {
        failures.push({ ...failure, index: failure.index + at });
      }
    }
    return failures;
  }

  #send(messages: readonly NetlinkMessage[]): readonly NetlinkFailure[] {
    const first = this.#sequence;
    this.#sequence += messages.length;
    send(this.#fd, Buffer.concat(messages.map((message, index) => message.encode(first + index))));
    const failures: NetlinkFailure[] = [];
    let pending = messages.length;
    while (pending > 0) {
      for (const reply of this.#read()) {
        const index = reply.sequence - first;
        if (index < 0 || index >= messages.length || reply.type !== NLMSG_ERROR) continue;
        pending--;
        const error = this.#error(reply, messages[index]?.about);
        if (error) failures.push({ index, error });
      }
    }
    return failures;
  }

  /** Sends the messages and throws the first failure. */
  run(...messages: readonly NetlinkMessage[]): void {
    const failure = this.batch(messages)[0];
    if (failure) throw failure.error;
  }

  /**
   * A request answered by messages: one, or (NLM_F_DUMP) many. A list during which something changed may lack entries or have one twice
   * (NLM_F_DUMP_INTR): it is asked for again, and taken as it is on a host that never stands still.
   */
  request(message: NetlinkMessage): readonly NetlinkReply[] {
    for (let attempt = 1; ; attempt++) {
      const { replies, interrupted } = this.#ask(message);
      if (!interrupted || attempt >= maxDumps) return replies;
    }
  }

  #ask(message: NetlinkMessage): {
    readonly replies: readonly NetlinkReply[];
    readonly interrupted: boolean;
  } {
    const sequence = this.#sequence++;
    send(this.#fd, message.encode(sequence));
    const replies: NetlinkReply[] = [];
    let interrupted = false;
    const dump = (message.flags & NLM_F_DUMP) === NLM_F_DUMP;
    for (;;) {
      for (const reply of this.#read()) {
        if (reply.sequence !== sequence) continue;
        if (dump && (reply.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (reply.type === NLMSG_DONE) return { replies, interrupted };
        if (reply.type === NLMSG_ERROR) {
          const error = this.#error(reply, message.about);
          if (error) throw error;
          return { replies, interrupted };
        }
        replies.push({ type: reply.type, payload: reply.payload });
        if (!dump && (message.flags & NLM_F_ACK) === 0) return { replies, interrupted };
      }
    }
  }

  #read(): readonly (NetlinkReply & { readonly sequence: number; readonly flags: number })[] {
    const length = receive(this.#fd, this.#buffer);
    if (length === undefined) throw new SystemError(110, "netlink");
    const replies = [];
    const data = Buffer.from(this.#buffer.subarray(0, length));
    let at = 0;
    while (at + headerLength <= data.length) {
      const size = data.readUInt32LE(at);
      if (size < headerLength || at + size > data.length) break;
      replies.push({
        type: data.readUInt16LE(at + 4),
        flags: data.readUInt16LE(at + 6),
        sequence: data.readUInt32LE(at + 8),
        payload: data.subarray(at + headerLength, at + size),
      });
      at += (size + 3) & ~3;
    }
    return replies;
  }

  #error(reply: NetlinkReply & { readonly flags: number }, about?: string): SystemError | undefined {
    const number = -reply.payload.readInt32LE(0);
    if (number === 0) return undefined;
    let detail = about;
    if (reply.flags & NLM_F_ACK_TLVS && reply.flags & NLM_F_CAPPED) {
      // nlmsgerr: error, then the header of the refused message (capped: without its payload), then attributes.
      const text = attributes(reply.payload, 4 + headerLength).get(NLMSGERR_ATTR_MSG);
      if (text) detail = `${about ?? ""} (${text.toString("utf8", 0, text.length - 1)})`;
    }
    return new SystemError(number, "netlink", detail);
  }
}

/** For links, addresses and routes: rtnetlink(7). A socket on the network of the calling thread. */
export function openRouteSocket(): NetlinkSocket {
  return new NetlinkSocket(0);
}
