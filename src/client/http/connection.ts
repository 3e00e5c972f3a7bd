import type { Socket } from "bun";
import { TugError } from "../../base/lib/errors.ts";

/** Bytes that may wait in memory for a reader before the socket is paused. */
const highWater = 1 << 20;

/**
 * One byte stream to the daemon, pull-based: `read` hands over chunks as they came off the socket and pauses it when the
 * reader lags. Raw sockets rather than node:net, because they start in a fraction of the time and move twice the bytes.
 */
export interface Connection {
  /** The next chunk, or null at the end of the stream. */
  read(): Uint8Array | null | Promise<Uint8Array | null>;
  /** Puts the tail of a chunk back in front. */
  unread(chunk: Uint8Array): void;
  /** Sends; the promise, when there is one, resolves once the socket took everything. */
  write(data: Uint8Array | string): Promise<void> | undefined;
  /** Ends our direction only; the other one goes on. */
  shutdown(): void;
  close(): void;
  readonly closed: boolean;
}

/** The transport-independent half of a connection: queue of received chunks and back-pressure. */
export class Inbox {
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #paused = false;
  #ended = false;
  #failure: Error | undefined;
  #waiting: { resolve(chunk: Uint8Array | null): void; reject(error: Error): void } | undefined;
  /** Set by the owner: stop and go on reading from the transport. */
  pause: () => void = () => undefined;
  resume: () => void = () => undefined;

  get ended(): boolean {
    return this.#ended;
  }

  push(chunk: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = undefined;
      waiting.resolve(chunk);
      return;
    }
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued > highWater && !this.#paused) {
      this.#paused = true;
      this.pause();
    }
  }

  end(failure?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (failure) waiting?.reject(failure);
    else waiting?.resolve(null);
  }

  unread(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#queue.unshift(chunk);
    this.#queued += chunk.length;
  }

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    const chunk = this.#queue.shift();
    if (chunk) {
      this.#queued -= chunk.length;
      if (this.#paused && this.#queued < highWater / 2) {
        this.#paused = false;
        this.resume();
      }
      return chunk;
    }
    if (this.#failure) throw this.#failure;
    if (this.#ended) return null;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}

/** A `Connection` over a Bun socket (unix, TCP or TLS). */
export class SocketConnection implements Connection {
  readonly #inbox = new Inbox();
  #socket: Socket | undefined;
  #closed = false;
  #pending: { data: Uint8Array; offset: number; resolve(): void; reject(error: Error): void }[] = [];

  get closed(): boolean {
    return this.#closed || this.#inbox.ended;
  }

  readonly #secured = Promise.withResolvers<void>();

  constructor() {
    this.#secured.promise.catch(() => undefined); // only TLS connections wait for it
  }

  /** Resolves when the TLS handshake is done and the peer is whom it claims to be. */
  get secured(): Promise<void> {
    return this.#secured.promise;
  }

  /** The callbacks for Bun.connect; the socket arrives in `open`. */
  readonly handlers = {
    open: (socket: Socket) => {
      this.#socket = socket;
      this.#inbox.pause = () => void socket.pause();
      this.#inbox.resume = () => void socket.resume();
    },
    handshake: (_socket: Socket, success: boolean, failure: Error | null) => {
      if (success && failure === null) this.#secured.resolve();
      else this.#secured.reject(failure ?? new Error("TLS handshake failed"));
    },
    data: (_socket: Socket, chunk: Uint8Array) => this.#inbox.push(chunk),
    drain: () => this.#flush(),
    end: () => this.#inbox.end(),
    close: (_socket: Socket, error?: Error) => this.#drop(error),
    error: (_socket: Socket, error: Error) => this.#drop(error),
  };

  read(): Uint8Array | null | Promise<Uint8Array | null> {
    return this.#inbox.read();
  }

  unread(chunk: Uint8Array): void {
    this.#inbox.unread(chunk);
  }

  write(data: Uint8Array | string): Promise<void> | undefined {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#closed || !this.#socket) return Promise.reject(brokenPipe());
    let offset = 0;
    if (this.#pending.length === 0) {
      const wrote = this.#socket.write(bytes, 0, bytes.length);
      if (wrote < 0) return Promise.reject(brokenPipe());
      if (wrote === bytes.length) return undefined;
      offset = wrote;
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ data: bytes, offset, resolve, reject });
    });
  }

  shutdown(): void {
    if (this.#closed) return;
    this.#socket?.shutdown();
  }

  close(): void {
    if (this.#closed) return;
    this.#socket?.end();
    this.#drop();
  }

  #flush(): void {
    for (let next = this.#pending[0]; next && this.#socket; next = this.#pending[0]) {
      const wrote = this.#socket.write(next.data, next.offset, next.data.length - next.offset);
      if (wrote < 0) {
        this.#drop();
        return;
      }
      next.offset += wrote;
      if (next.offset < next.data.length) return;
      this.#pending.shift();
      next.resolve();
    }
  }

  #drop(error?: Error): void {
    this.#closed = true;
    const pending = this.#pending;
    this.#pending = [];
    for (const write of pending) write.reject(brokenPipe());
    this.#inbox.end(error);
    this.#secured.reject(error ?? brokenPipe());
  }
}

const brokenPipe = () => new TugError("unavailable", "the connection to the daemon was closed");
