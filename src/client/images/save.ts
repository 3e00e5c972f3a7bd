import type { Client } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";

/** GET /images/get: a tar of the named images. */
export async function saveImages(
  client: Client,
  names: readonly string[],
  options: { readonly platform?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<HttpReply> {
  return await client.send({
    method: "GET",
    path: "/images/get",
    query: { names, platform: options.platform },
    signal: options.signal,
  });
}
