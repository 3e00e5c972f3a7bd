import { chmodSync, unlinkSync } from "node:fs";
import { messageOf } from "../base/lib/errors.ts";
import { EPOLLIN, EPOLLOUT, type EventLoop } from "../base/sys/epoll.ts";
import { SystemError } from "../base/sys/libc.ts";
import {
  AF_UNIX,
  accept,
  bind,
  closeFd,
  connect,
  listen,
  receive,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  send,
  socket,
  unixAddress,
} from "../base/sys/net/sockets.ts";
import { type DnsReply, type DnsRequest, protocolVersion } from "../core/network/dns/protocol.ts";

const maxLine = 64 << 20;

/** The unix socket the daemon speaks through. Whoever can open it owns the exec-root, so what it says is trusted. */
export class ControlSocket implements Disposable {
  readonly #loop: EventLoop;
  readonly #path: string;
  readonly #listener: number;
  readonly #clients = new Set<number>();
  readonly #handle: (request: DnsRequest) => void;
  readonly #onClosed: () => void;

  /** Throws EADDRINUSE when another resolver listens there. */
  constructor(loop: EventLoop, path: string, handle: (request: DnsRequest) => void, onClosed: () => void) {
    this.#loop = loop;
    this.#path = path;
    this.#handle = handle;
    this.#onClosed = onClosed;
    this.#listener = listenAt(path);
    loop.watch(this.#listener, EPOLLIN, () => this.#onConnection());
  }

  get clients(): number {
    return this.#clients.size;
  }

  [Symbol.dispose](): void {
    this.#loop.unwatch(this.#listener);
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
    closeFd(this.#listener);
    for (const fd of [...this.#clients]) this.#end(fd);
  }

  #end(fd: number): void {
    if (!this.#clients.delete(fd)) return;
    this.#loop.unwatch(fd);
    closeFd(fd);
    this.#onClosed();
  }

  #onConnection(): void {
    const fd = accept(this.#listener);
    if (fd === undefined) return;
    this.#clients.add(fd);
    let received: Buffer[] = [];
    let size = 0;
    let outgoing = Buffer.alloc(0);
    const buffer = new Uint8Array(65536);
    const flush = () => {
      try {
        const sent = send(fd, outgoing);
        if (sent !== undefined) outgoing = outgoing.subarray(sent);
        this.#loop.watch(fd, outgoing.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, onEvent);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        this.#end(fd);
      }
    };
    const onEvent = (events: number) => {
      if (events & EPOLLOUT) flush();
      if (!this.#clients.has(fd) || (events & ~EPOLLOUT) === 0) return;
      let length: number | undefined;
      try {
        length = receive(fd, buffer);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        length = 0;
      }
      if (length === undefined) return;
      if (length === 0 || size > maxLine) return this.#end(fd);
      const chunk = Buffer.from(buffer.subarray(0, length));
      received.push(chunk);
      size += length;
      if (!chunk.includes(10)) return;
      const lines = Buffer.concat(received).toString("utf8").split("\n");
      const rest = Buffer.from(lines.pop() ?? "");
      received = [rest];
      size = rest.length;
      const replies = lines.map((line) => `${JSON.stringify(this.#reply(line))}\n`).join("");
      if (!this.#clients.has(fd)) return;
      outgoing = Buffer.concat([outgoing, Buffer.from(replies)]);
      flush();
    };
    this.#loop.watch(fd, EPOLLIN, onEvent);
  }

  #reply(line: string): DnsReply {
    let seq = 0;
    try {
      const request = JSON.parse(line) as DnsRequest;
      seq = request.seq;
      this.#handle(request);
      return { seq, ok: true, version: protocolVersion, pid: process.pid };
    } catch (error) {
      return { seq, ok: false, error: messageOf(error) };
    }
  }
}

function listenAt(path: string): number {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
  try {
    try {
      bind(fd, unixAddress(path), path);
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== "EADDRINUSE" || answers(path)) throw error;
      // Left over by a process that was killed.
      unlinkSync(path);
      bind(fd, unixAddress(path), path);
    }
    chmodSync(path, 0o600);
    listen(fd);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function answers(path: string): boolean {
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK);
  try {
    connect(fd, unixAddress(path), path);
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  } finally {
    closeFd(fd);
  }
}
