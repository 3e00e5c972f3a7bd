/** HTTP/2's frames (RFC 9113, 4.1 and 6). */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

export const Setting = {
  tableSize: 1,
  enablePush: 2,
  maxStreams: 3,
  windowSize: 4,
  maxFrameSize: 5,
  maxHeaderList: 6,
} as const;

/** Error codes (7). */
export const Reason = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  enhanceYourCalm: 11,
} as const;

export const headerBytes = 9;
export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const defaultWindow = 65_535;
export const defaultFrameSize = 16_384;
export const largestWindow = 0x7fff_ffff;

/** What ends the connection, with the code that the peer is told. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly reason: number;
  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = nothing): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + payload.length);
  writeHeader(bytes, 0, payload.length, type, flags, stream);
  bytes.set(payload, headerBytes);
  return bytes;
}

export function writeHeader(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes.writeUIntBE(length, at, 3);
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes.writeUInt32BE(stream, at + 5);
}

/** A frame of numbers of 32 bits. */
export function numbersFrame(type: number, stream: number, ...values: readonly number[]): Buffer {
  const payload = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) payload.writeUInt32BE(value, index * 4);
  return frame(type, 0, stream, payload);
}

export function settingsFrame(values: Readonly<Record<number, number>>): Buffer {
  const pairs = Object.entries(values);
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [index, [name, value]] of pairs.entries()) {
    payload.writeUInt16BE(Number(name), index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(FrameType.settings, 0, 0, payload);
}

const nothing = new Uint8Array(0);

export interface FrameSink {
  /** Called with the header as soon as it is there: throws for what must not come. */
  header(header: FrameHeader): void;
  /** A DATA frame's bytes as they come, padding included. */
  data(header: FrameHeader, piece: Uint8Array, left: number): void;
  /** Any other frame that is known, whole. */
  frame(header: FrameHeader, payload: Buffer): void;
}

/** Cuts a connection's bytes into frames; content is passed on without a copy. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(headerBytes);
  #headAt = 0;
  #current: FrameHeader | undefined;
  #left = 0;
  #payload: Buffer | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length || this.#isDone()) {
      if (!this.#current) {
        at = this.#readHead(chunk, at);
        continue;
      }
      const take = Math.min(this.#left, chunk.length - at);
      this.#take(this.#current, chunk.subarray(at, at + take));
      at += take;
    }
  }

  /** A frame without payload is complete with its header. */
  #isDone(): boolean {
    return this.#current !== undefined && this.#left === 0;
  }

  #readHead(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#headAt < headerBytes && at < chunk.length) this.#head[this.#headAt++] = chunk[at++] ?? 0;
    if (this.#headAt < headerBytes) return at;
    const head = this.#head;
    const header = {
      length: head.readUIntBE(0, 3),
      type: head[3] ?? 0,
      flags: head[4] ?? 0,
      stream: head.readUInt32BE(5) & 0x7fff_ffff,
    };
    this.#sink.header(header);
    this.#headAt = 0;
    this.#current = header;
    this.#left = header.length;
    const whole = header.type !== FrameType.data && header.type <= FrameType.continuation;
    this.#payload = whole ? Buffer.allocUnsafe(header.length) : undefined;
    return at;
  }

  #take(header: FrameHeader, piece: Uint8Array): void {
    const payload = this.#payload;
    payload?.set(piece, header.length - this.#left);
    this.#left -= piece.length;
    if (this.#left === 0) this.#current = undefined;
    if (header.type === FrameType.data) this.#sink.data(header, piece, this.#left);
    else if (this.#left === 0 && payload) this.#sink.frame(header, payload);
  }
}
