import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { TugError } from "../../../base/lib/errors.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";

/** Where a log service listens. */
export type StreamAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "tls"; readonly host: string; readonly port: number; readonly tls: TlsFiles }
  | { readonly kind: "unix"; readonly path: string };

export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly skipVerify: boolean;
}

/** A connection that bytes are written to; `write` waits for the peer and throws once the connection is gone. */
export interface LogStream extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
}

/** Connects; failures read as Docker's ("dial tcp 127.0.0.1:514: connect: connection refused"). */
export async function openStream(address: StreamAddress, signal: AbortSignal): Promise<LogStream> {
  const socket = dial(address);
  try {
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      socket.once(address.kind === "tls" ? "secureConnect" : "connect", () => {
        signal.removeEventListener("abort", abort);
        resolve();
      });
      socket.once("error", reject);
      if (signal.aborted) abort();
    });
  } catch (error) {
    socket.destroy();
    throw unreachable(address, error);
  }
  return new SocketStream(socket);
}

function dial(address: StreamAddress): Socket {
  if (address.kind === "unix") return connect({ path: address.path });
  if (address.kind === "tcp") return connect({ host: address.host, port: address.port });
  const { ca, cert, key, skipVerify } = address.tls;
  return connectTls({
    host: address.host,
    port: address.port,
    servername: address.host,
    rejectUnauthorized: !skipVerify,
    ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
    ...(cert === undefined ? {} : { cert: readFileSync(cert) }),
    ...(key === undefined ? {} : { key: readFileSync(key) }),
  });
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  ENOENT: "connect: no such file or directory",
  EACCES: "connect: permission denied",
  ETIMEDOUT: "i/o timeout",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ENOTFOUND: "no such host",
};

function unreachable(address: StreamAddress, error: unknown): TugError {
  const where = address.kind === "unix" ? `unix ${address.path}` : `tcp ${address.host}:${address.port}`;
  const message = error instanceof Error ? error.message : String(error);
  return new TugError("unavailable", `dial ${where}: ${reasons[errnoOf(error) ?? ""] ?? message}`, {
    cause: error,
  });
}

class SocketStream implements LogStream {
  readonly #socket: Socket;
  #failure: unknown;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Syslog and GELF never answer; reading is how the end of the connection is noticed.
    socket.on("data", () => undefined);
    socket.on("error", (error) => {
      this.#failure ??= error;
    });
    socket.on("close", () => {
      this.#failure ??= new TugError("unavailable", "the log service closed the connection");
    });
    socket.unref();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      const closed = () =>
        reject(this.#failure ?? new TugError("unavailable", "the log service closed the connection"));
      this.#socket.once("close", closed);
      this.#socket.write(bytes, (error) => {
        this.#socket.off("close", closed);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#socket.once("close", () => resolve());
      this.#socket.end(() => this.#socket.destroy());
    });
  }
}
