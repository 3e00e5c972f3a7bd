import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { invalid, messageOf, TugError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { closeFd, duplicateFd } from "../sys/net/sockets.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import type { Handler } from "./exchange.ts";
import { joinLimit } from "./outbound.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** With it, clients must show a certificate signed by this authority. */
  readonly clientCa: string | undefined;
}

export type ListenAddress =
  | {
      readonly kind: "unix";
      readonly path: string;
      /** Default 0o660. */
      readonly mode?: number;
      /** Name or number of the group that may connect; left alone when it does not exist. */
      readonly group?: string | undefined;
    }
  | {
      readonly kind: "tcp";
      readonly host: string;
      /** 0 takes a free one. */
      readonly port: number;
      readonly tls?: TlsFiles | undefined;
    }
  | {
      /** A listening socket that the service manager handed over (sd_listen_fds(3)). */
      readonly kind: "fd";
      readonly fd: number;
      readonly name: string;
    };

export interface Listener {
  /** Where it listens: `unix:///path` or `tcp://host:port` with the real port. */
  readonly url: string;
  /**
   * Reads certificate and key again, for connections that are accepted from now on; no connection is lost. Throws, and changes nothing, when
   * they are wrong.
   */
  reload(): void;
  /** Takes no new connection, lets requests finish for `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

interface SocketState {
  connection: Connection;
}

/** Accepts connections on `address` and serves HTTP/1.1 on each. */
export function listen(
  address: ListenAddress,
  deps: {
    readonly handler: Handler;
    readonly log: Log;
    readonly limits?: ConnectionLimits;
    /** Connections at once; one more is closed as it comes. */
    readonly maxConnections?: number;
  },
): Listener {
  const open = new Set<Connection>();
  const connectionDeps = { ...deps, scratch: new Uint8Array(joinLimit) };
  let quiet: (() => void) | undefined;
  const socket = {
    open(s: Socket<SocketState | undefined>) {
      if (open.size >= (deps.maxConnections ?? Number.POSITIVE_INFINITY)) {
        deps.log.warn("too many connections", { limit: deps.maxConnections });
        s.terminate();
        return;
      }
      const connection = new Connection(s, connectionDeps);
      s.data = { connection };
      open.add(connection);
    },
    data: (s: Socket<SocketState | undefined>, bytes: Buffer) => s.data?.connection.received(bytes),
    end: (s: Socket<SocketState | undefined>) => s.data?.connection.peerEnded(),
    drain: (s: Socket<SocketState | undefined>) => s.data?.connection.out.drained(),
    timeout: (s: Socket<SocketState | undefined>) => s.data?.connection.timedOut(),
    close(s: Socket<SocketState | undefined>) {
      if (!s.data) return;
      s.data.connection.closed();
      open.delete(s.data.connection);
      if (open.size === 0) quiet?.();
    },
    error: (_: Socket<SocketState | undefined>, error: Error) => deps.log.debug("socket error", { error }),
  };
  let listener = bind(address, socket, deps.log);
  const url = urlOf(address, listener);
  const bound = address.kind === "unix" ? identity(address.path) : undefined;
  return {
    url,
    reload() {
      if (address.kind !== "tcp" || !address.tls) return;
      const next = listenAgain(listener, address.tls, socket);
      // Who is connected stays.
      listener.stop(false);
      listener = next;
    },
    async close(graceMs) {
      listener.stop(false);
      // The path may be another daemon's by now.
      if (address.kind === "unix" && identity(address.path) === bound) unlinkSync(address.path);
      for (const connection of open) connection.closeSoon();
      if (open.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, graceMs);
          quiet = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      for (const connection of [...open]) connection.terminate();
    },
  };
}

type ListenOptions = Parameters<typeof Bun.listen<SocketState | undefined>>[0];
type Handlers = ListenOptions["socket"];
type BunListener = TCPSocketListener<SocketState | undefined> | UnixSocketListener<SocketState | undefined>;

function bind(address: ListenAddress, socket: Handlers, log: Log): BunListener {
  switch (address.kind) {
    case "unix":
      return listenUnix(address, socket, log);
    case "tcp":
      return bindTcp(address, socket);
    case "fd":
      return listenInherited(address, socket);
  }
}

function urlOf(address: ListenAddress, listener: BunListener): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  return address.kind === "fd" ? `fd://${address.name}` : tcpUrl(address.host, listener);
}

function listenInherited(address: ListenAddress & { kind: "fd" }, socket: Handlers): BunListener {
  try {
    // Bun's types do not know that a listener can be made from a descriptor.
    const options = { fd: address.fd, allowHalfOpen: true, socket, data: undefined };
    return Bun.listen<SocketState | undefined>(options as unknown as ListenOptions) as BunListener;
  } catch (error) {
    throw new TugError("unavailable", `failed to load listeners: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Binds under a name of its own and moves the socket into place when its mode and owner are right: nobody connects too early,
 * and a socket that an earlier daemon left is replaced without a moment in which there is none.
 */
function listenUnix(address: ListenAddress & { kind: "unix" }, socket: Handlers, log: Log): BunListener {
  const { path, mode = 0o660, group } = address;
  const fresh = `${path}.${process.pid}`;
  const refuse = (why: unknown) =>
    new TugError("unavailable", `can't create unix socket ${path}: ${messageOf(why)}`, { cause: why });
  // sun_path of sockaddr_un holds 108 bytes with the terminating zero (unix(7)).
  if (Buffer.byteLength(fresh) > 107) throw invalid(`unix socket path "${path}" is too long`);
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) throw refuse("the path is in use");
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
    if (lstatSync(fresh, { throwIfNoEntry: false })) unlinkSync(fresh);
    const listener = Bun.listen<SocketState | undefined>({
      unix: fresh,
      allowHalfOpen: true,
      socket,
      data: undefined,
    });
    chmodSync(fresh, mode);
    const gid = groupId(group ?? "");
    if (gid !== undefined) chownSync(fresh, process.getuid?.() ?? 0, gid);
    else if (group) log.warn("could not change group of the socket: group not found", { path, group });
    renameSync(fresh, path);
    return listener;
  } catch (error) {
    throw refuse(error);
  }
}

function bindTcp(address: ListenAddress & { kind: "tcp" }, socket: Handlers): BunListener {
  const { host, port, tls } = address;
  try {
    return Bun.listen<SocketState | undefined>({
      hostname: host === "" ? "0.0.0.0" : host,
      port,
      allowHalfOpen: true,
      socket,
      data: undefined,
      ...(tls ? { tls: tlsOptions(tls) } : {}),
    });
  } catch (error) {
    throw new TugError("unavailable", `failed to listen on tcp://${host}:${port}: ${String(error)}`, {
      cause: error,
    });
  }
}

/**
 * A second listener on the first one's socket. A socket of its own on the same port (SO_REUSEPORT) would not do: whoever waits in the first
 * one's queue when that is closed is reset.
 */
function listenAgain(listener: BunListener, tls: TlsFiles, socket: Handlers): BunListener {
  const options = { allowHalfOpen: true, socket, data: undefined, tls: tlsOptions(tls) };
  // Bun's types know neither that a listener has a descriptor nor that it can be made from one.
  const fd = duplicateFd((listener as unknown as { readonly fd: number }).fd);
  try {
    return Bun.listen<SocketState | undefined>({ ...options, fd } as unknown as ListenOptions) as BunListener;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function tlsOptions(files: TlsFiles) {
  return {
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
    ...(files.clientCa === undefined
      ? {}
      : { ca: readFileSync(files.clientCa), requestCert: true, rejectUnauthorized: true }),
  };
}

function tcpUrl(host: string, listener: BunListener): string {
  const port = "port" in listener ? listener.port : 0;
  return `tcp://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What tells a socket file from another at the same path: inode numbers alone are used again at once. */
function identity(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return stat && `${stat.dev} ${stat.ino} ${stat.ctimeNs}`;
}

function groupId(group: string): number | undefined {
  if (group === "") return undefined;
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync("/etc/group", "utf8").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined) return Number(gid);
  }
  return undefined;
}
