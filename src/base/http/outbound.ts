import { TugError } from "../lib/errors.ts";

/** The few methods of a Bun socket that the connection uses; a test can stand in for it. */
export interface Wire {
  /** Bytes the kernel took, which may be fewer; -1 when the socket is closed. */
  write(data: Uint8Array): number;
  pause(): void;
  resume(): void;
  /** Ends our direction only. */
  shutdown(): void;
  terminate(): void;
  /** Seconds without traffic until `timeout` is reported; 0 turns it off. */
  timeout(seconds: number): void;
}

/** Bytes that may wait for a slow client before a writer has to wait too. */
const highWater = 256 * 1024;
/** Up to this size parts are joined: a copy then costs less than a system call and a reader woken for eight bytes. */
export const joinLimit = 16 * 1024;
/** A backlog leaves in pieces of about this size. */
const backlogPiece = 64 * 1024;

/** What goes out: never blocks, keeps what the kernel did not take, and makes writers wait for a slow client. */
export class Outbound {
  readonly #wire: Wire;
  /** Where parts are joined. Nothing stays in it, so all connections of a listener share one. */
  readonly #scratch: Uint8Array;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #closed = false;
  #finish: (() => void) | undefined;
  #waiters: { resolve(): void; reject(error: Error): void }[] = [];

  constructor(wire: Wire, scratch: Uint8Array) {
    this.#wire = wire;
    this.#scratch = scratch;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Everything was handed to the kernel. */
  get empty(): boolean {
    return this.#pendingBytes === 0;
  }

  /** Sends now what the kernel takes and keeps the rest; `bytes` may be reused when this returns. */
  push(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    if (this.#pendingBytes > 0) {
      this.#keep(bytes);
      return;
    }
    const sent = this.#wire.write(bytes);
    if (sent < 0) {
      this.closedByPeer();
      return;
    }
    if (sent < bytes.length) this.#keep(bytes.subarray(sent));
  }

  /** Like `push` for several parts, with one system call where that is cheaper. */
  pushParts(...parts: readonly Uint8Array[]): void {
    let size = 0;
    for (const part of parts) size += part.length;
    if (this.#pendingBytes > 0 || size > this.#scratch.length) {
      for (const part of parts) this.push(part);
      return;
    }
    let at = 0;
    for (const part of parts) {
      this.#scratch.set(part, at);
      at += part.length;
    }
    this.push(this.#scratch.subarray(0, size));
  }

  /** Resolves at once while the client keeps up, later when it is slow; rejects when it has gone. */
  ready(): Promise<void> {
    if (this.#closed) return Promise.reject(gone());
    if (this.#pendingBytes < highWater) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** The socket takes bytes again. */
  drained(): void {
    while (this.#pending.length > 0 && !this.#closed) {
      const chunk = this.#pending.length === 1 ? this.#pending[0] : join(this.#pending, backlogPiece);
      if (!chunk) break;
      const sent = this.#wire.write(chunk);
      if (sent < 0) {
        this.closedByPeer();
        return;
      }
      this.#pendingBytes -= sent;
      if (sent === chunk.length) this.#pending.shift();
      else {
        this.#pending[0] = chunk.subarray(sent);
        break;
      }
    }
    if (this.#pendingBytes < highWater / 2) {
      const waiters = this.#waiters;
      if (waiters.length > 0) {
        this.#waiters = [];
        for (const waiter of waiters) waiter.resolve();
      }
    }
    if (this.#pendingBytes === 0) this.#finished();
  }

  /** Calls back once everything was handed to the kernel. */
  whenEmpty(done: () => void): void {
    this.#finish = done;
    if (this.#pendingBytes === 0) this.#finished();
  }

  /** The client is gone: whoever waits gets an error, what waits is dropped. */
  closedByPeer(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#pendingBytes = 0;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(gone());
    this.#finished();
  }

  #keep(bytes: Uint8Array): void {
    this.#pending.push(bytes.slice());
    this.#pendingBytes += bytes.length;
  }

  #finished(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.();
  }
}

function gone(): TugError {
  return new TugError("cancelled", "client closed the connection");
}

/** Joins leading small chunks into the first place of the list, so that a backlog of frames leaves in few system calls. */
function join(chunks: Uint8Array[], limit: number): Uint8Array | undefined {
  let count = 0;
  let size = 0;
  for (const chunk of chunks) {
    if (count > 0 && size + chunk.length > limit) break;
    size += chunk.length;
    count++;
  }
  const first = chunks[0];
  if (count < 2) return first;
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks.splice(0, count)) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  chunks.unshift(joined);
  return joined;
}
