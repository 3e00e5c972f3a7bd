import type { ByteStream } from "../bytes.ts";
import {
  ConnectionError,
  defaultFrameSize,
  defaultWindow,
  Flag,
  type FrameHeader,
  FrameReader,
  FrameType,
  frame,
  largestWindow,
  numbersFrame,
  preface,
  Reason,
  Setting,
  settingsFrame,
} from "./frames.ts";
import { type Fields, HpackDecoder, HpackError } from "./hpack.ts";
import { FrameSender } from "./sender.ts";
import { Http2Stream, type StreamConnection } from "./stream.ts";

export interface ConnectionOptions {
  readonly role: "client" | "server";
  /** Bytes that the peer may send ahead on one stream. */
  readonly windowBytes: number;
  /** Streams that the peer may have open at a time. */
  readonly maxStreams: number;
  /** Of one list of header fields. */
  readonly maxHeaderBytes: number;
  /** A request of the peer's. Servers only. */
  readonly onStream?: (stream: Http2Stream, fields: Fields) => void;
  /** The connection is gone; `error`: what the peer did wrong, or why it could not be written to. Told once, when all streams are closed. */
  readonly onClose: (error: unknown) => void;
}

/** Largest frame that is taken: content is passed on as it comes, header blocks are bounded by themselves. */
const frameBytes = 256 * 1024;
/** Room that the peer has for all streams together: each has its own, which is what bounds it. */
const connectionWindow = 16 << 20;
/** Calls that a peer may begin and give up again, beyond those that came to their end: each costs work (CVE-2023-44487). */
const maxGivenUp = 1_000;
/** Pieces of one header block (CVE-2024-27316). */
const maxContinuations = 256;

/** One HTTP/2 connection (RFC 9113) with prior knowledge, either role, on any byte stream. No push, no priorities. */
export class Http2Connection {
  readonly #bytes: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #streams = new Map<number, Http2Stream>();
  readonly #sender: FrameSender;
  readonly #decoder: HpackDecoder;
  readonly #forStreams: StreamConnection;
  #closed = false;
  /** Of the preface: bytes that came. */
  #prefaceAt = 0;
  /** The peer's settings came. */
  #settled = false;
  #nextId = 1;
  #lastPeerId = 0;
  #givenUp = 0;
  #goneAway = false;
  /** A header block that goes on in the next frame. */
  #block: { readonly header: FrameHeader; readonly parts: Buffer[]; bytes: number } | undefined;
  /** Of the DATA frame that is being read; undefined: not known yet. */
  #padding: number | undefined;
  /** Bytes that came and whose room the peer was not given back. */
  #taken = 0;
  #peerWindow = defaultWindow;
  #peerStreams = Number.POSITIVE_INFINITY;
  #pinged: (() => void) | undefined;

  constructor(bytes: ByteStream, options: ConnectionOptions) {
    this.#bytes = bytes;
    this.#options = options;
    this.#decoder = new HpackDecoder(options.maxHeaderBytes);
    const sender = new FrameSender(bytes, (error) => this.destroy(error));
    this.#sender = sender;
    this.#forStreams = {
      wants: (stream) => sender.wants(stream),
      sendHeaders: (stream, fields, end) => sender.sendHeaders(stream.id, fields, end),
      sendReset: (stream, reason) => sender.send(numbersFrame(FrameType.reset, stream.id, reason)),
      sendWindow: (stream, room) => sender.send(numbersFrame(FrameType.windowUpdate, stream.id, room)),
      over: (stream) => this.#over(stream),
    };
    const client = options.role === "client";
    if (client) sender.send(preface);
    sender.send(
      settingsFrame({
        ...(client ? { [Setting.enablePush]: 0 } : { [Setting.maxStreams]: options.maxStreams }),
        [Setting.windowSize]: options.windowBytes,
        [Setting.maxFrameSize]: frameBytes,
        [Setting.maxHeaderList]: options.maxHeaderBytes,
      }),
    );
    sender.send(numbersFrame(FrameType.windowUpdate, 0, connectionWindow - defaultWindow));
    void this.#read();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Begins a request. Throws ConnectionError when the peer takes none now. */
  request(fields: Fields): Http2Stream {
    const over = this.#closed || this.#goneAway || this.#nextId > largestWindow;
    if (over) throw new ConnectionError(Reason.refused, "the connection was closed");
    const most = this.#peerStreams;
    if (this.#streams.size >= most)
      throw new ConnectionError(Reason.refused, `the peer takes no more than ${most} calls at a time`);
    const stream = this.#open(this.#nextId);
    this.#nextId += 2;
    stream.sendHeaders(fields, false);
    return stream;
  }

  /** Asks for a sign of life; one at a time. */
  ping(answered: () => void): void {
    this.#pinged = answered;
    this.#sender.send(frame(FrameType.ping, 0, 0, new Uint8Array(8)));
  }

  /** Cuts the connection; all its streams end. The peer is told what it did wrong, as far as it still listens. */
  destroy(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    const reason = error instanceof ConnectionError ? error.reason : Reason.compression;
    const wrong = error instanceof ConnectionError || error instanceof HpackError;
    this.#sender.stop(wrong ? numbersFrame(FrameType.goAway, 0, this.#lastPeerId, reason) : undefined);
    for (const stream of [...this.#streams.values()]) stream.close();
    this.#bytes.close();
    this.#options.onClose(error);
  }

  async #read(): Promise<void> {
    const reader = new FrameReader({
      header: (header) => this.#header(header),
      data: (header, piece, left) => this.#data(header, piece, left),
      frame: (header, payload) => this.#frame(header, payload),
    });
    try {
      for (let chunk = await this.#bytes.next(); chunk; chunk = await this.#bytes.next()) {
        if (this.#closed) return;
        reader.push(this.#afterPreface(chunk));
      }
      this.destroy();
    } catch (error) {
      this.destroy(error);
    }
  }

  #afterPreface(chunk: Uint8Array): Uint8Array {
    if (this.#options.role === "client" || this.#prefaceAt === preface.length) return chunk;
    const own = chunk.subarray(0, preface.length - this.#prefaceAt);
    const expected = preface.subarray(this.#prefaceAt, this.#prefaceAt + own.length);
    if (Buffer.compare(own, expected) !== 0)
      throw new ConnectionError(Reason.protocol, "the connection does not begin as HTTP/2");
    this.#prefaceAt += own.length;
    return chunk.subarray(own.length);
  }

  #header(header: FrameHeader): void {
    const { type, length, stream, flags } = header;
    const large = type === FrameType.data || type === FrameType.headers || type === FrameType.continuation;
    if (length > (large ? frameBytes : defaultFrameSize))
      throw new ConnectionError(Reason.frameSize, `a frame of ${length} bytes`);
    if (!this.#settled && (type !== FrameType.settings || (flags & Flag.ack) !== 0))
      throw new ConnectionError(Reason.protocol, "the first frame is no SETTINGS");
    this.#settled = true;
    const block = this.#block;
    if (block && (type !== FrameType.continuation || stream !== block.header.stream))
      throw new ConnectionError(Reason.protocol, "a frame within a header block");
    const general = type === FrameType.settings || type === FrameType.ping || type === FrameType.goAway;
    const either = type === FrameType.windowUpdate || type > FrameType.continuation;
    if (!either && general !== (stream === 0))
      throw new ConnectionError(Reason.protocol, `a frame of type ${type} on stream ${stream}`);
    if (type !== FrameType.data) return;
    this.#known(stream);
    this.#padding = (flags & Flag.padded) !== 0 ? undefined : 0;
    if (this.#padding === undefined && length === 0)
      throw new ConnectionError(Reason.frameSize, "a frame without the length of its padding");
  }

  #data(header: FrameHeader, piece: Uint8Array, left: number): void {
    this.#taken += piece.length;
    if (this.#taken >= connectionWindow / 4) {
      this.#sender.send(numbersFrame(FrameType.windowUpdate, 0, this.#taken));
      this.#taken = 0;
    }
    let content = piece;
    if (this.#padding === undefined) {
      this.#padding = piece[0] ?? 0;
      if (this.#padding >= header.length)
        throw new ConnectionError(Reason.protocol, "a frame that is padded beyond its end");
      content = piece.subarray(1);
    }
    // The padding is the frame's end, of which `left` bytes are still to come.
    const padded = Math.min(content.length, Math.max(0, this.#padding - left));
    content = content.subarray(0, content.length - padded);
    const stream = this.#streams.get(header.stream);
    if (!stream) return; // it was given up, which the peer may not know yet
    if (stream.remoteEnded) stream.reset(Reason.streamClosed);
    else if (!stream.receivedData(content, piece.length)) stream.reset(Reason.flowControl);
    else if (left === 0 && (header.flags & Flag.endStream) !== 0) stream.receivedEnd();
  }

  #frame(header: FrameHeader, payload: Buffer): void {
    switch (header.type) {
      case FrameType.headers:
      case FrameType.continuation:
        this.#headers(header, payload);
        return;
      case FrameType.reset:
        this.#reset(header, payload);
        return;
      case FrameType.settings:
        this.#settings(header, payload);
        return;
      case FrameType.push:
        throw new ConnectionError(Reason.protocol, "a push that was not allowed");
      case FrameType.ping:
        this.#ping(header, payload);
        return;
      case FrameType.goAway:
        this.#goAway(payload);
        return;
      case FrameType.windowUpdate:
        this.#windowUpdate(header, payload);
        return;
    }
  }

  #headers(header: FrameHeader, payload: Buffer): void {
    const begins = header.type === FrameType.headers;
    if (!begins && !this.#block)
      throw new ConnectionError(Reason.protocol, "a header block that goes on without a beginning");
    this.#block ??= { header, parts: [], bytes: 0 };
    const block = this.#block;
    const part = begins ? fragment(header, payload) : payload;
    block.parts.push(part);
    block.bytes += part.length;
    if (block.bytes > this.#options.maxHeaderBytes || block.parts.length > maxContinuations)
      throw new ConnectionError(Reason.enhanceYourCalm, "a header block without end");
    if ((header.flags & Flag.endHeaders) === 0) return;
    this.#block = undefined;
    const fields = this.#decoder.decode(Buffer.concat(block.parts));
    const end = (block.header.flags & Flag.endStream) !== 0;
    const stream = this.#streams.get(header.stream);
    if (!stream) this.#fromPeer(header.stream, fields, end);
    else if (stream.remoteEnded) stream.reset(Reason.streamClosed);
    else if (!fields) stream.reset(Reason.enhanceYourCalm);
    else {
      stream.received(fields);
      if (end) stream.receivedEnd();
    }
  }

  /** Header fields of a stream that is not open: a request, or what was on the way when we gave it up. */
  #fromPeer(id: number, fields: Fields | undefined, end: boolean): void {
    const { role, maxStreams, onStream } = this.#options;
    if (role === "client" || id % 2 === 0) this.#known(id);
    if (role === "client" || id % 2 === 0 || id <= this.#lastPeerId) return;
    this.#lastPeerId = id;
    if (this.#streams.size >= maxStreams || !fields || !onStream) {
      this.#sender.send(numbersFrame(FrameType.reset, id, Reason.refused));
      return;
    }
    const stream = this.#open(id);
    onStream(stream, fields);
    if (end) stream.receivedEnd();
  }

  /** Throws for a stream that neither side ever began. */
  #known(id: number): void {
    const ours = id % 2 === (this.#options.role === "client" ? 1 : 0);
    const last = ours ? this.#nextId - 2 : this.#lastPeerId;
    if (id > last) throw new ConnectionError(Reason.protocol, `a frame on the idle stream ${id}`);
  }

  #reset(header: FrameHeader, payload: Buffer): void {
    expectLength(payload, 4);
    this.#known(header.stream);
    const stream = this.#streams.get(header.stream);
    if (!stream) return;
    if (this.#options.role === "server" && ++this.#givenUp > maxGivenUp)
      throw new ConnectionError(Reason.enhanceYourCalm, "too many calls were begun and given up");
    stream.close();
  }

  #over(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#sender.forget(stream);
    if (stream.complete && this.#givenUp > 0) this.#givenUp--;
  }

  #settings(header: FrameHeader, payload: Buffer): void {
    if ((header.flags & Flag.ack) !== 0) {
      expectLength(payload, 0);
      return;
    }
    if (payload.length % 6 !== 0) throw new ConnectionError(Reason.frameSize, "settings that are cut off");
    for (let at = 0; at < payload.length; at += 6)
      this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#sender.send(frame(FrameType.settings, Flag.ack, 0));
  }

  #setting(name: number, value: number): void {
    if (name === Setting.windowSize) {
      if (value > largestWindow) throw new ConnectionError(Reason.flowControl, `a window of ${value} bytes`);
      const more = value - this.#peerWindow;
      this.#peerWindow = value;
      for (const stream of this.#streams.values()) {
        stream.sendWindow += more;
        if (stream.sendWindow > largestWindow)
          throw new ConnectionError(Reason.flowControl, "a window of no possible size");
        this.#sender.wants(stream);
      }
    } else if (name === Setting.maxFrameSize) {
      if (value < defaultFrameSize || value > 0xff_ffff)
        throw new ConnectionError(Reason.protocol, `frames of ${value} bytes`);
      this.#sender.peerFrame = value;
    } else if (name === Setting.maxStreams) this.#peerStreams = value;
  }

  #ping(header: FrameHeader, payload: Buffer): void {
    expectLength(payload, 8);
    if ((header.flags & Flag.ack) === 0) {
      this.#sender.send(frame(FrameType.ping, Flag.ack, 0, payload));
      return;
    }
    this.#pinged?.();
    this.#pinged = undefined;
  }

  #goAway(payload: Buffer): void {
    if (payload.length < 8) throw new ConnectionError(Reason.frameSize, "a GOAWAY that is cut off");
    this.#goneAway = true;
    if (this.#options.role === "server") return;
    const last = payload.readUInt32BE(0) & 0x7fff_ffff;
    for (const stream of [...this.#streams.values()]) if (stream.id > last) stream.close();
  }

  #windowUpdate(header: FrameHeader, payload: Buffer): void {
    expectLength(payload, 4);
    const bytes = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (header.stream === 0) {
      this.#sender.widen(bytes, this.#streams.values());
      return;
    }
    this.#known(header.stream);
    const stream = this.#streams.get(header.stream);
    if (!stream) return;
    if (bytes === 0 || stream.sendWindow + bytes > largestWindow) {
      stream.reset(Reason.flowControl);
      return;
    }
    stream.sendWindow += bytes;
    this.#sender.wants(stream);
  }

  #open(id: number): Http2Stream {
    const stream = new Http2Stream(this.#forStreams, id, this.#options.windowBytes);
    stream.sendWindow = this.#peerWindow;
    this.#streams.set(id, stream);
    return stream;
  }
}

/** The part of a HEADERS frame that is the header block. */
function fragment({ flags }: FrameHeader, payload: Buffer): Buffer {
  const isPadded = (flags & Flag.padded) !== 0;
  const padding = isPadded ? (payload[0] ?? 0) : 0;
  const from = (isPadded ? 1 : 0) + ((flags & Flag.priority) !== 0 ? 5 : 0);
  if (from + padding > payload.length)
    throw new ConnectionError(Reason.protocol, "a frame that is padded beyond its end");
  return payload.subarray(from, payload.length - padding);
}

function expectLength(payload: Buffer, length: number): void {
  if (payload.length !== length)
    throw new ConnectionError(Reason.frameSize, `a frame of ${payload.length} bytes instead of ${length}`);
}
