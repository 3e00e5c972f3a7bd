import type { Client } from "../client.ts";
import type { HttpReply } from "../http/transport.ts";

/** GET /images/get: a tar of the named images. */
export async function saveImages(
  client: Client,
  names: readonly string[],
  options: { readonly platforms?: readonly string[]; readonly signal?: AbortSignal | undefined } = {},
): Promise<HttpReply> {
  return await client.send({
    method: "GET",
    path: "/images/get",
    query: { names, platform: options.platforms },
    // Several platforms at once: 1.52.
    since: (options.platforms?.length ?? 0) > 1 ? "1.52" : undefined,
    signal: options.signal,
  });
}
