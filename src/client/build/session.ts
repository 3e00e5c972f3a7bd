import { type Log, silentLog } from "../../base/lib/log.ts";
import { type Service, serveRpc, unary } from "../../base/rpc/server.ts";
import { Health, sessionHeaders } from "../../base/spec/buildkit/methods.ts";
import type { Client } from "../client.ts";
import { hijackHttp2 } from "./connect.ts";

/** BuildKit's ids: 25 characters of base 36, from 128 random bits and a bit more. */
export function newBuildId(): string {
  // Not node:crypto, which takes longer to load than all else of a small build's command.
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(17))).toString("hex");
  return BigInt(`0x${random}`).toString(36).padStart(27, "0").slice(-25);
}

export interface SessionOptions {
  /** Shown in the daemon's logs; the name of the context's directory. */
  readonly name?: string;
  /** What makes transfers of the same directory incremental (`sharedKeyOf`). */
  readonly sharedKey?: string;
  /** What is lent: see `lendFiles`, `lendSecrets`, `lendSsh`, `lendCredentials`, `takeOutputs`, `lendUploads`. */
  readonly services: readonly Service[];
  readonly log?: Log;
  readonly signal?: AbortSignal;
}

/** What the client lends a build for as long as it is open. */
export interface OpenSession extends AsyncDisposable {
  /** Goes into SolveRequest.session. */
  readonly id: string;
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<void>;
}

/** Opens a session: a connection over which the daemon calls our services. */
export async function openSession(client: Client, options: SessionOptions): Promise<OpenSession> {
  const id = newBuildId();
  const health = unary(Health.check, async () => ({ status: 1 }));
  const services = [...options.services, health];
  const bytes = await hijackHttp2(
    client,
    "/session",
    {
      [sessionHeaders.id]: id,
      [sessionHeaders.name]: headerText(options.name ?? "tug"),
      ...(options.sharedKey === undefined ? {} : { [sessionHeaders.sharedKey]: options.sharedKey }),
      [sessionHeaders.method]: services.map((service) => service.path),
    },
    options.signal,
  );
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const closed = serveRpc(bytes, { services, log: options.log ?? silentLog, signal });
  return {
    id,
    closed,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await closed;
    },
  };
}

/** Header fields take printable ASCII (RFC 9110, 5.5). */
const headerText = (text: string) => text.replace(/[^\x20-\x7e]/g, "_");
