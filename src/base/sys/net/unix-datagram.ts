import {
  AF_UNIX,
  closeFd,
  connect,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  send,
  socket,
  unixAddress,
} from "./sockets.ts";

/** A connected AF_UNIX datagram socket, which neither Node nor Bun has: /dev/log and journald's socket are of this kind. */
export class UnixDatagram implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    try {
      connect(this.#fd, unixAddress(path), path);
    } catch (error) {
      closeFd(this.#fd);
      throw error;
    }
  }

  /** False when the receiver's queue is full: try again later. Throws when it is gone. */
  send(bytes: Uint8Array): boolean {
    return send(this.#fd, bytes) !== undefined;
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}
