import { randomInt } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { ipBytes, isLoopback, parseIp } from "../base/lib/ip.ts";
import { EPOLLIN, EPOLLOUT, type EventLoop, type Timer } from "../base/sys/epoll.ts";
import { SystemError } from "../base/sys/libc.ts";
import { inNetworkNamespace } from "../base/sys/net/netns.ts";
import {
  AF_INET,
  AF_INET6,
  closeFd,
  connect,
  getOption,
  receive,
  SO_ERROR,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  send,
  socket,
  socketAddress,
} from "../base/sys/net/sockets.ts";
import { questionEnd } from "../core/network/dns/answer.ts";
import { parseResolvConf } from "../core/network/files.ts";

/** The C library waits 5 s a try (resolv.conf(5), timeout); each of three servers must have had its turn by then. */
const patience = 1700;
const maxServers = 3;
const maxInFlight = 1024;
const dnsPort = 53;

export interface ForwardRequest {
  readonly query: Uint8Array;
  /** Over TCP, as the client asked. */
  readonly stream: boolean;
  /** The container's namespace: its routes decide how its queries travel. */
  readonly netns: number;
  /** Empty: the host's. */
  readonly servers: readonly string[];
  /** Called once; undefined: no server gave an answer. */
  readonly done: (reply: Uint8Array | undefined) => void;
}

/** One forwarded query: what is open for it now. */
interface Exchange {
  abort: () => void;
  over: boolean;
}

interface Server {
  readonly address: Uint8Array;
  /** A loopback server of the host is reached on the host's network. */
  readonly onHost: boolean;
}

/** Asks the upstream servers one after the other, with a port and an id of its own for each query (RFC 5452). */
export class Upstream {
  readonly #loop: EventLoop;
  readonly #hostFile: string;
  /** Shared by all receptions: what is kept is copied. */
  readonly #buffer = new Uint8Array(65535);
  #hostServers: readonly string[] = [];
  #hostFileStamp = "";
  #inFlight = 0;

  constructor(loop: EventLoop, hostFile: string) {
    this.#loop = loop;
    this.#hostFile = hostFile;
  }

  /** Returns a way to give up: `done` is then not called, and no socket is left in the container's namespace. */
  forward(request: ForwardRequest): () => void {
    if (this.#inFlight >= maxInFlight) {
      request.done(undefined);
      return () => undefined;
    }
    this.#inFlight++;
    const exchange: Exchange = { abort: () => undefined, over: false };
    const settle = (report: (reply: Uint8Array | undefined) => void) => (reply: Uint8Array | undefined) => {
      if (exchange.over) return;
      exchange.over = true;
      this.#inFlight--;
      report(reply);
    };
    this.#ask(request, exchange, this.#servers(request), settle(request.done));
    return () => settle(() => exchange.abort())(undefined);
  }

  #servers(request: ForwardRequest): readonly Server[] {
    const own = request.servers.length > 0;
    return (own ? request.servers : this.#readHost()).slice(0, maxServers).flatMap((text) => {
      const address = parseIp(text.replace(/%.*$/, ""));
      return address ? [{ address: ipBytes(address), onHost: !own && isLoopback(address) }] : [];
    });
  }

  /** The host's servers, read again when its file changed (DHCP, VPN). */
  #readHost(): readonly string[] {
    try {
      const stat = statSync(this.#hostFile);
      const stamp = `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
      if (stamp !== this.#hostFileStamp) {
        this.#hostServers = parseResolvConf(readFileSync(this.#hostFile, "utf8")).nameservers;
        this.#hostFileStamp = stamp;
      }
    } catch (error) {
      // Being replaced just now: what was known goes on.
      if (!(error instanceof Error)) throw error;
    }
    // resolv.conf(5): without a nameserver line the local machine is asked.
    return this.#hostServers.length > 0 ? this.#hostServers : ["127.0.0.1"];
  }

  #ask(
    request: ForwardRequest,
    exchange: Exchange,
    servers: readonly Server[],
    done: (reply: Uint8Array | undefined) => void,
    refusal?: Uint8Array,
  ): void {
    const [server, ...rest] = servers;
    if (!server) {
      done(refusal);
      return;
    }
    const next = (reply: Uint8Array | undefined) => {
      const code = reply === undefined ? -1 : (reply[3] ?? 0) & 15;
      // SERVFAIL, NOTIMP, REFUSED speak of the server, not of the name: another may know better (as glibc's res_send).
      if (reply !== undefined && code !== 2 && code !== 4 && code !== 5) done(reply);
      else this.#ask(request, exchange, rest, done, reply ?? refusal);
    };
    try {
      this.#exchange(request, exchange, server, next);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      next(undefined);
    }
  }

  #exchange(
    request: ForwardRequest,
    exchange: Exchange,
    server: Server,
    next: (reply: Uint8Array | undefined) => void,
  ): void {
    const type = (request.stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK;
    const family = server.address.length === 16 ? AF_INET6 : AF_INET;
    const make = () => socket(family, type);
    const fd = server.onHost ? make() : inNetworkNamespace(request.netns, make);
    const id = randomInt(0x10000);
    const query = Buffer.from(request.query);
    query.writeUInt16BE(id, 0);
    let timer: Timer | undefined;
    const close = () => {
      timer?.cancel();
      this.#loop.unwatch(fd);
      closeFd(fd);
    };
    const finish = (reply: Uint8Array | undefined) => {
      close();
      if (reply) Buffer.from(reply.buffer, reply.byteOffset, 2).set(request.query.subarray(0, 2));
      next(reply);
    };
    const matches = (reply: Uint8Array): boolean => isReply(reply, query);
    try {
      connect(fd, socketAddress(server.address, dnsPort));
      if (!request.stream) send(fd, query);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    timer = this.#loop.after(patience, () => finish(undefined));
    exchange.abort = close;
    if (request.stream) this.#stream(fd, query, matches, finish);
    else {
      const buffer = this.#buffer;
      this.#loop.watch(fd, EPOLLIN, () => {
        const length = attempt(() => receive(fd, buffer));
        if (length === "failed") finish(undefined);
        else if (length !== undefined && matches(buffer.subarray(0, length))) finish(buffer.slice(0, length));
      });
    }
  }

  #stream(
    fd: number,
    query: Buffer,
    matches: (reply: Uint8Array) => boolean,
    finish: (reply: Uint8Array | undefined) => void,
  ): void {
    let received = Buffer.alloc(0);
    const buffer = this.#buffer;
    const onReadable = () => {
      const length = attempt(() => receive(fd, buffer));
      if (length === undefined) return;
      if (length === "failed" || length === 0) return finish(undefined);
      received = Buffer.concat([received, buffer.subarray(0, length)]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const reply = received.subarray(2, 2 + received.readUInt16BE(0));
      finish(matches(reply) ? new Uint8Array(reply) : undefined);
    };
    this.#loop.watch(fd, EPOLLOUT, () => {
      const framed = Buffer.alloc(2 + query.length);
      framed.writeUInt16BE(query.length, 0);
      framed.set(query, 2);
      const sent = attempt(() => (getOption(fd, SOL_SOCKET, SO_ERROR) === 0 ? send(fd, framed) : 0));
      // A query fits any fresh send buffer whole; what does not is treated as a failure.
      if (sent !== framed.length) return finish(undefined);
      this.#loop.watch(fd, EPOLLIN, onReadable);
    });
  }
}

/** The same id, a response, and the same question. */
function isReply(reply: Uint8Array, query: Uint8Array): boolean {
  if (reply.length < 12 || reply[0] !== query[0] || reply[1] !== query[1] || ((reply[2] ?? 0) & 0x80) === 0)
    return false;
  const end = questionEnd(query);
  // Servers that refuse may leave the question out.
  if (end === 12 || ((reply[4] ?? 0) === 0 && (reply[5] ?? 0) === 0)) return true;
  const fold = (bytes: Uint8Array) => Buffer.from(bytes.subarray(12, end)).toString("latin1").toLowerCase();
  return fold(reply) === fold(query);
}

function attempt<T>(call: () => T): T | "failed" {
  try {
    return call();
  } catch (error) {
    if (error instanceof SystemError) return "failed";
    throw error;
  }
}
