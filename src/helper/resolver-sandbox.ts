import { TugError } from "../base/lib/errors.ts";
import { EPOLLIN, EPOLLOUT, type EventLoop } from "../base/sys/epoll.ts";
import { SystemError } from "../base/sys/libc.ts";
import type { LowDescriptors } from "../base/sys/low-descriptors.ts";
import { inNetworkNamespace, openNetworkNamespace } from "../base/sys/net/netns.ts";
import { openNftables } from "../base/sys/net/nftables.ts";
import {
  AF_INET,
  accept,
  bind,
  boundPort,
  closeFd,
  listen,
  receive,
  receiveFrom,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  send,
  socket,
  socketAddress,
} from "../base/sys/net/sockets.ts";
import { processStat } from "../base/sys/process/pidfd.ts";
import { openPidfd } from "../base/sys/process/pidfd-open.ts";
import { answerQuery, serverFailure } from "../core/network/dns/answer.ts";
import { type DnsContainer, resolverAddress } from "../core/network/dns/protocol.ts";
import type { Zone } from "../core/network/dns/zone.ts";
import type { Upstream } from "./resolver-upstream.ts";

const address = Uint8Array.of(127, 0, 0, 11);
const maxStreams = 64;
const maxPending = 256;
const streamPatience = 10_000;
/** One container must not keep the loop from the others. */
const datagramsPerTurn = 16;

export interface SandboxDeps {
  readonly loop: EventLoop;
  readonly zone: Zone;
  readonly upstream: Upstream;
  /** For libnftables: a host with many containers has no small numbers left. */
  readonly low: LowDescriptors;
  /** Called for each query, before it is answered. */
  readonly onQuery: () => void;
  /** The process ended. */
  readonly onGone: () => void;
}

/**
 * The resolver inside one container's namespace: sockets on 127.0.0.11 with ports of the kernel's choice, and a little nftables
 * table there that sends port 53 to them, so that the container may itself listen on 53. Closed with the process, for an
 * open socket keeps a dead container's namespace alive.
 */
export class SandboxResolver implements Disposable {
  readonly #id: string;
  readonly #deps: SandboxDeps;
  readonly #fds = new Set<number>();
  readonly #netns: number;
  #streams = 0;
  /** Shared by all receptions: what is kept is copied. */
  readonly #buffer = new Uint8Array(4096);
  readonly #pending = new Set<() => void>();

  constructor(container: DnsContainer, deps: SandboxDeps) {
    this.#id = container.id;
    this.#deps = deps;
    try {
      const pidfd = openPidfd(container.pid);
      if (pidfd === undefined || processStat(container.pid)?.startTime !== container.startTime) {
        if (pidfd !== undefined) closeFd(pidfd);
        throw new SystemError(3, "pidfd_open", `process ${container.pid}`);
      }
      this.#fds.add(pidfd);
      this.#netns = openNetworkNamespace(container.pid).fd;
      this.#fds.add(this.#netns);
      const [udp, tcp] = inNetworkNamespace(this.#netns, () => this.#listen());
      deps.loop.watch(pidfd, EPOLLIN, () => deps.onGone());
      deps.loop.watch(udp, EPOLLIN, () => this.#onDatagram(udp));
      deps.loop.watch(tcp, EPOLLIN, () => this.#onConnection(tcp));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const giveUp of this.#pending) giveUp();
    this.#pending.clear();
    for (const fd of this.#fds) this.#close(fd);
  }

  #close(fd: number): void {
    if (!this.#fds.delete(fd)) return;
    this.#deps.loop.unwatch(fd);
    closeFd(fd);
  }

  #listen(): readonly [udp: number, tcp: number] {
    const udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK);
    this.#fds.add(udp);
    bind(udp, socketAddress(address, 0), resolverAddress);
    const tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK);
    this.#fds.add(tcp);
    bind(tcp, socketAddress(address, 0), resolverAddress);
    listen(tcp);
    const to = (fd: number) => `dnat to ${resolverAddress}:${boundPort(fd)}`;
    const table = `
      create table ip tug-dns
      table ip tug-dns {
        chain output {
          type nat hook output priority -100; policy accept;
          ip daddr ${resolverAddress} udp dport 53 ${to(udp)}
          ip daddr ${resolverAddress} tcp dport 53 ${to(tcp)}
        }
      }
    `;
    this.#deps.low.lend(() => {
      using nft = openNftables();
      try {
        nft.run(table);
      } catch (error) {
        // Left by a resolver that was killed. Not deleted on suspicion: closing the context would then wait some 10 ms for a grace
        // period of the kernel (nf_tables flushes its deletions when a netlink socket goes).
        if (!(error instanceof TugError)) throw error;
        nft.run(`delete table ip tug-dns\n${table}`);
      }
    });
    return [udp, tcp];
  }

  /** Answers by `reply`, at once or when an upstream server did. */
  #answer(query: Uint8Array, stream: boolean, reply: (packet: Uint8Array) => void): void {
    this.#deps.onQuery();
    const container = this.#deps.zone.get(this.#id);
    if (!container) return;
    const verdict = answerQuery(this.#deps.zone, container, query, stream);
    if (verdict.kind === "ignore") return;
    if (verdict.kind === "reply" || this.#pending.size >= maxPending) {
      reply(verdict.kind === "reply" ? verdict.packet : serverFailure(query));
      return;
    }
    let over = false;
    const giveUp = this.#deps.upstream.forward({
      query,
      stream,
      netns: this.#netns,
      servers: container.servers,
      done: (answer) => {
        over = true;
        this.#pending.delete(giveUp);
        reply(answer ?? serverFailure(query));
      },
    });
    if (!over) this.#pending.add(giveUp);
  }

  #onDatagram(fd: number): void {
    const buffer = this.#buffer;
    for (let i = 0; i < datagramsPerTurn; i++) {
      const datagram = quietly(() => receiveFrom(fd, buffer));
      if (!datagram) return;
      const from = datagram.from.slice();
      this.#answer(buffer.slice(0, datagram.length), false, (packet) => {
        quietly(() => send(fd, packet, from));
      });
    }
  }

  #onConnection(listener: number): void {
    const fd = quietly(() => accept(listener));
    if (fd === undefined) return;
    if (this.#streams >= maxStreams) {
      closeFd(fd);
      return;
    }
    this.#streams++;
    this.#fds.add(fd);
    const { loop } = this.#deps;
    let received = Buffer.alloc(0);
    let outgoing = Buffer.alloc(0);
    const end = () => {
      timer.cancel();
      if (!this.#fds.has(fd)) return;
      this.#streams--;
      this.#close(fd);
    };
    const timer = loop.after(streamPatience, end);
    const flush = () => {
      const sent = quietly(() => send(fd, outgoing));
      if (sent !== undefined) outgoing = outgoing.subarray(sent);
      if (this.#fds.has(fd)) loop.watch(fd, outgoing.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN, onEvent);
    };
    const onEvent = (events: number) => {
      if (events & EPOLLOUT) flush();
      if ((events & ~EPOLLOUT) === 0) return;
      const buffer = this.#buffer;
      const length = quietly(() => receive(fd, buffer) ?? -1) ?? 0;
      if (length === -1) return;
      if (length === 0) return end();
      received = Buffer.concat([received, buffer.subarray(0, length)]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const size = received.readUInt16BE(0);
        const query = new Uint8Array(received.subarray(2, 2 + size));
        received = received.subarray(2 + size);
        this.#answer(query, true, (packet) => {
          if (!this.#fds.has(fd)) return;
          const framed = Buffer.alloc(2 + packet.length);
          framed.writeUInt16BE(packet.length, 0);
          framed.set(packet, 2);
          // A client that asks and never reads is cut off.
          if (outgoing.length > 1 << 18) return end();
          outgoing = Buffer.concat([outgoing, framed]);
          flush();
        });
      }
    };
    loop.watch(fd, EPOLLIN, onEvent);
  }
}

/** A failure on one socket concerns its peer alone, who sees no answer. */
function quietly<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
