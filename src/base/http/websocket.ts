import { createHash } from "node:crypto";
import { invalid } from "../lib/errors.ts";
import type { Exchange, RawStream } from "./exchange.ts";
import { hasToken } from "./head.ts";

/** The server's half of RFC 6455, without extensions. */

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Nobody types a megabyte; a longer message is an attack on our memory. */
const maxMessage = 1024 * 1024;

export interface Websocket {
  /** The payload of the next message; undefined when the client has closed. */
  next(): Promise<Uint8Array | undefined>;
  send(payload: Uint8Array, kind: "text" | "binary"): Promise<void>;
  close(code: number): Promise<void>;
}

/** Checks the handshake; the returned function completes it, once the caller knows that there is something to talk about. */
export function acceptWebsocket(exchange: Exchange): () => Websocket {
  const { headers } = exchange;
  const key = headers.get("sec-websocket-key");
  if (!hasToken(headers, "upgrade", "websocket") || !hasToken(headers, "connection", "upgrade") || !key) {
    throw invalid("not a websocket handshake");
  }
  if (headers.get("sec-websocket-version") !== "13") throw invalid("unsupported websocket version");
  return () => {
    const protocol = headers.get("sec-websocket-protocol")?.split(",")[0]?.trim();
    const raw = exchange.hijack(101, {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": createHash("sha1")
        .update(key + guid)
        .digest("base64"),
      ...(protocol ? { "Sec-WebSocket-Protocol": protocol } : {}),
    });
    return new ServerWebsocket(raw);
  };
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

class ServerWebsocket implements Websocket {
  readonly #raw: RawStream;
  #buffered: Uint8Array = new Uint8Array(0);
  #closed = false;

  constructor(raw: RawStream) {
    this.#raw = raw;
  }

  async next(): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const frame = await this.#frame();
      if (!frame || frame.opcode === opcodes.close) {
        await this.close(1000);
        return undefined;
      }
      if (frame.opcode === opcodes.ping) {
        await this.#write(opcodes.pong, frame.payload);
        continue;
      }
      if (frame.opcode === opcodes.pong) continue;
      size += frame.payload.length;
      if (size > maxMessage) return await this.#refuse(1009);
      parts.push(frame.payload);
      if (frame.final) return parts.length === 1 ? frame.payload : Buffer.concat(parts);
    }
  }

  async send(payload: Uint8Array, kind: "text" | "binary"): Promise<void> {
    if (!this.#closed) await this.#write(opcodes[kind], payload);
  }

  async close(code: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#write(opcodes.close, new Uint8Array([code >> 8, code & 0xff]));
  }

  async #refuse(code: number): Promise<undefined> {
    await this.close(code);
    this.#raw.ignoreInput();
    return undefined;
  }

  async #frame(): Promise<{ final: boolean; opcode: number; payload: Uint8Array } | undefined> {
    const head = await this.#take(2);
    if (!head) return undefined;
    const [first = 0, second = 0] = head;
    let length = second & 0x7f;
    if (length >= 126) {
      const wide = await this.#take(length === 126 ? 2 : 8);
      if (!wide) return undefined;
      length = wide.reduce((sum, byte) => sum * 256 + byte, 0);
    }
    // Clients must mask (section 5.1), and nothing was negotiated that would use the reserved bits.
    if ((second & 0x80) === 0 || (first & 0x70) !== 0) return await this.#refuse(1002);
    if (length > maxMessage) return await this.#refuse(1009);
    const mask = await this.#take(4);
    const payload = await this.#take(length);
    if (!mask || !payload) return undefined;
    const clear = new Uint8Array(payload.length);
    for (let i = 0; i < payload.length; i++) clear[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
    return { final: (first & 0x80) !== 0, opcode: first & 0x0f, payload: clear };
  }

  async #take(count: number): Promise<Uint8Array | undefined> {
    while (this.#buffered.length < count) {
      const more = await this.#raw.next();
      if (!more) return undefined;
      this.#buffered = this.#buffered.length === 0 ? more : Buffer.concat([this.#buffered, more]);
    }
    const taken = this.#buffered.subarray(0, count);
    this.#buffered = this.#buffered.subarray(count);
    return taken;
  }

  #write(opcode: number, payload: Uint8Array): Promise<void> {
    const { length } = payload;
    const header = new Uint8Array(length < 126 ? 2 : length < 65_536 ? 4 : 10);
    const view = new DataView(header.buffer);
    header[0] = 0x80 | opcode;
    header[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
    if (length >= 65_536) view.setBigUint64(2, BigInt(length));
    else if (length >= 126) view.setUint16(2, length);
    return this.#raw.write2(header, payload);
  }
}
