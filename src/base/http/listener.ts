import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { invalid, TugError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { Connection } from "./connection.ts";
import type { Handler } from "./exchange.ts";

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
    };

export interface Listener {
  /** Where it listens: `unix:///path` or `tcp://host:port` with the real port. */
  readonly url: string;
  /** Takes no new connection, lets requests finish for `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

interface SocketState {
  connection: Connection;
}

/** Accepts connections on `address` and serves HTTP/1.1 on each. */
export function listen(
  address: ListenAddress,
  deps: { readonly handler: Handler; readonly log: Log },
): Listener {
  const open = new Set<Connection>();
  let quiet: (() => void) | undefined;
  const socket = {
    open(s: Socket<SocketState | undefined>) {
      const connection = new Connection(s, deps);
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
  const listener =
    address.kind === "unix" ? listenUnix(address, socket, deps.log) : listenTcp(address, socket);
  return {
    url: address.kind === "unix" ? `unix://${address.path}` : tcpUrl(address.host, listener),
    async close(graceMs) {
      listener.stop(false);
      if (address.kind === "unix") removeSocket(address.path);
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

type Handlers = Parameters<typeof Bun.listen<SocketState | undefined>>[0]["socket"];
type BunListener = TCPSocketListener<SocketState | undefined> | UnixSocketListener<SocketState | undefined>;

function listenUnix(address: ListenAddress & { kind: "unix" }, socket: Handlers, log: Log): BunListener {
  const { path, mode = 0o660, group } = address;
  // sun_path of sockaddr_un holds 108 bytes with the terminating zero (unix(7)).
  if (Buffer.byteLength(path) > 107) throw invalid(`unix socket path "${path}" is too long`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  removeSocket(path);
  // Nobody may connect between bind and chmod.
  const umask = process.umask(0o177);
  let listener: BunListener;
  try {
    listener = Bun.listen<SocketState | undefined>({
      unix: path,
      allowHalfOpen: true,
      socket,
      data: undefined,
    });
  } catch (error) {
    throw new TugError("unavailable", `can't create unix socket ${path}: ${String(error)}`, { cause: error });
  } finally {
    process.umask(umask);
  }
  if (group !== undefined && group !== "") {
    const gid = groupId(group);
    if (gid === undefined) log.warn("could not change group of the socket: group not found", { path, group });
    else chownSync(path, process.getuid?.() ?? 0, gid);
  }
  chmodSync(path, mode);
  return listener;
}

function listenTcp(address: ListenAddress & { kind: "tcp" }, socket: Handlers): BunListener {
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

/** Removes a socket that an earlier daemon left; anything else at that path stays and makes the bind fail. */
function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
}

function groupId(group: string): number | undefined {
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readFileSync("/etc/group", "utf8").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined) return Number(gid);
  }
  return undefined;
}
