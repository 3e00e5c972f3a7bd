import { defaultWindow } from "./frames.ts";
import type { Fields } from "./hpack.ts";

/** What the owner of a stream is told. */
export interface StreamListener {
  /** The peer's header fields: first those of the request or response, then perhaps trailers. */
  headers(fields: Fields): void;
  data(piece: Uint8Array): void;
  /** The peer will send no more. */
  end(): void;
  /** Everything has left that was written. */
  drain(): void;
  /** The stream is over: both directions ended, or one side or the connection gave it up. Told once, last of all. */
  close(): void;
}

/** What a stream needs of its connection. */
export interface StreamConnection {
  /** The stream has something to send. */
  wants(stream: Http2Stream): void;
  sendHeaders(stream: Http2Stream, fields: Fields, end: boolean): void;
  sendReset(stream: Http2Stream, reason: number): void;
  sendWindow(stream: Http2Stream, bytes: number): void;
  over(stream: Http2Stream): void;
}

/** Written bytes that a stream holds before the writer should wait. */
const highWater = 256 * 1024;
/** The peer is told of free room in steps of this many bytes. */
const windowStep = 128 * 1024;

/** One stream of a connection (RFC 9113, 5): two directions that end by themselves. */
export class Http2Stream {
  readonly id: number;
  readonly #connection: StreamConnection;
  #listener: StreamListener | undefined;
  /** What came before somebody listened. */
  #early: ((listener: StreamListener) => void)[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #trailers: Fields | undefined;
  #full = false;
  #ending = false;
  #localEnded = false;
  #remoteEnded = false;
  #closed = false;
  #paused = false;
  /** Bytes that came and whose room the peer was not given back. */
  #taken = 0;
  #room: number;
  /** Bytes that the peer takes. */
  sendWindow = defaultWindow;

  /** `room`: bytes that the peer may send ahead. */
  constructor(connection: StreamConnection, id: number, room: number) {
    this.#connection = connection;
    this.id = id;
    this.#room = room;
  }

  listen(listener: StreamListener): void {
    this.#listener = listener;
    for (const tell of this.#early.splice(0)) tell(listener);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Nothing more can be written. */
  get ended(): boolean {
    return this.#ending || this.#localEnded || this.#closed;
  }

  get remoteEnded(): boolean {
    return this.#remoteEnded;
  }

  /** Both directions came to their end. */
  get complete(): boolean {
    return this.#localEnded && this.#remoteEnded;
  }

  /** Takes the bytes over. False: wait for `drain`. */
  write(bytes: Uint8Array): boolean {
    if (this.ended) return true;
    if (bytes.length > 0) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
      this.#connection.wants(this);
    }
    this.#full = this.#pendingBytes >= highWater;
    return !this.#full;
  }

  /** Header fields at once, in front of everything that was not sent yet. */
  sendHeaders(fields: Fields, end: boolean): void {
    if (this.ended) return;
    this.#connection.sendHeaders(this, fields, end);
    if (end) this.localEnd();
  }

  /** Ends our direction behind what was written. */
  end(trailers?: Fields): void {
    if (this.ended) return;
    this.#ending = true;
    this.#trailers = trailers;
    this.#connection.wants(this);
  }

  /** Gives the stream up. */
  reset(reason: number): void {
    if (this.#closed) return;
    this.#connection.sendReset(this, reason);
    this.close();
  }

  /** The peer gets no more room until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#giveRoom();
  }

  /** For the connection: up to `limit` bytes to send now; undefined: nothing, or no room at the peer. */
  take(limit: number): { readonly bytes: Uint8Array; readonly last: boolean } | undefined {
    if (!this.ready) return undefined;
    const most = Math.min(limit, this.sendWindow);
    const [first] = this.#pending;
    if (!first) return this.#trailers ? undefined : { bytes: nothing, last: true };
    if (most <= 0) return undefined;
    let bytes = first;
    if (first.length > most) {
      bytes = first.subarray(0, most);
      this.#pending[0] = first.subarray(most);
    } else this.#pending.shift();
    this.#pendingBytes -= bytes.length;
    this.sendWindow -= bytes.length;
    return { bytes, last: this.#pending.length === 0 && this.#ending && !this.#trailers };
  }

  /** For the connection: trailers that are due now. */
  takeTrailers(): Fields | undefined {
    if (this.#pending.length > 0) return undefined;
    const trailers = this.#trailers;
    this.#trailers = undefined;
    return trailers;
  }

  /** For the connection: whether `take` would give something. */
  get ready(): boolean {
    if (this.#closed || this.#localEnded) return false;
    return this.#pending.length > 0 ? this.sendWindow > 0 : this.#ending;
  }

  drained(): void {
    if (!this.#full || this.#pendingBytes > highWater / 2) return;
    this.#full = false;
    this.#tell((listener) => listener.drain());
  }

  localEnd(): void {
    this.#localEnded = true;
    if (this.#remoteEnded) this.close();
  }

  received(fields: Fields): void {
    this.#tell((listener) => listener.headers(fields));
  }

  /** False: more than it was given room for. `counted`: bytes with padding. */
  receivedData(piece: Uint8Array, counted: number): boolean {
    this.#taken += counted;
    if (this.#taken > this.#room) return false;
    if (piece.length > 0) this.#tell((listener) => listener.data(piece));
    if (!this.#paused) this.#giveRoom();
    return true;
  }

  receivedEnd(): void {
    if (this.#remoteEnded) return;
    this.#remoteEnded = true;
    this.#tell((listener) => listener.end());
    if (this.#localEnded) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#connection.over(this);
    this.#tell((listener) => listener.close());
  }

  #giveRoom(): void {
    if (this.#closed || this.#remoteEnded || this.#taken < Math.min(windowStep, this.#room / 2)) return;
    this.#connection.sendWindow(this, this.#taken);
    this.#taken = 0;
  }

  #tell(tell: (listener: StreamListener) => void): void {
    if (this.#listener) tell(this.#listener);
    else this.#early.push(tell);
  }
}

const nothing = new Uint8Array(0);
