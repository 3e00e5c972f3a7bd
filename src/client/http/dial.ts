import { messageOf, TugError } from "../../base/lib/errors.ts";
import type { Address, TlsOptions } from "../address.ts";
import { type Connection, SocketConnection } from "./connection.ts";

/** Opens a connection to the daemon; failures say what to do about them. */
export async function dial(address: Address, tls: TlsOptions | undefined): Promise<Connection> {
  if (address.kind === "ssh") {
    const { dialSsh } = await import("./ssh.ts");
    return dialSsh(address);
  }
  const connection = new SocketConnection();
  const socket = connection.handlers;
  try {
    if (address.kind === "unix") await Bun.connect({ unix: address.path, socket, allowHalfOpen: true });
    else {
      await Bun.connect({
        hostname: address.host,
        port: address.port,
        socket,
        allowHalfOpen: true,
        ...(tls ? { tls: tlsSettings(tls, address.host) } : {}),
      });
      // What is written before the handshake is done would be lost.
      if (tls) await secure(connection, tls);
    }
  } catch (error) {
    throw cannotConnect(address, error);
  }
  return connection;
}

async function secure(connection: SocketConnection, tls: TlsOptions): Promise<void> {
  try {
    await connection.secured;
  } catch (error) {
    if (!tls.verify && codeOfSystem(error) !== "" && !connection.closed) return; // asked for encryption only
    connection.close();
    throw error;
  }
}

function tlsSettings(tls: TlsOptions, host: string) {
  return {
    rejectUnauthorized: tls.verify,
    serverName: host,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
  };
}

function codeOfSystem(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function cannotConnect(address: Address, error: unknown): TugError {
  const code = codeOfSystem(error);
  if (code === "EACCES" || code === "EPERM") {
    return new TugError(
      "forbidden",
      `permission denied while trying to connect to the Tug daemon at ${address.text}: be root, or join the socket's group`,
      { cause: error },
    );
  }
  const start =
    address.kind === "unix" ? ' Start it with "tug daemon", or point DOCKER_HOST at another one.' : "";
  const why = code === "" || code === "ENOENT" || code === "ECONNREFUSED" ? "" : ` (${messageOf(error)})`;
  return new TugError(
    "unavailable",
    `Cannot connect to the Tug daemon at ${address.text}. Is the tug daemon running?${start}${why}`,
    { cause: error },
  );
}
