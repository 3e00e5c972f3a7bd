import type { ByteStream } from "../../base/rpc/bytes.ts";
import { openRpc, type RpcClient } from "../../base/rpc/client.ts";
import type { Client } from "../client.ts";
import type { Connection } from "../http/connection.ts";
import type { RequestHeaders } from "../http/transport.ts";

/** A connection of the daemon's API that speaks HTTP/2 from here on. */
export async function hijackHttp2(
  client: Client,
  path: "/grpc" | "/session",
  headers: RequestHeaders = {},
  signal?: AbortSignal,
): Promise<ByteStream> {
  const { stream } = await client.hijack({
    method: "POST",
    path,
    headers: { ...headers, Upgrade: "h2c" },
    signal,
  });
  return asByteStream(stream);
}

/** The builder's services (Control, LLBBridge) at the daemon. */
export async function openBuilder(client: Client, signal?: AbortSignal): Promise<RpcClient> {
  return openRpc(await hijackHttp2(client, "/grpc", {}, signal));
}

function asByteStream(connection: Connection): ByteStream {
  return {
    next: async () => (await connection.read()) ?? undefined,
    write: async (bytes) => {
      await connection.write(bytes);
    },
    end: () => connection.shutdown(),
    close: () => connection.close(),
  };
}
