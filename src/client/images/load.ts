import type { Client } from "../client.ts";
import type { HttpReply, RequestBody } from "../http/transport.ts";

/** POST /images/load: a docker-archive or OCI-layout tar. */
export async function loadImages(
  client: Client,
  tar: RequestBody,
  options: {
    readonly quiet?: boolean;
    /** What comes whole stays for a while when the rest does not come; dockerd knows nothing of it. */
    readonly keep?: boolean;
    readonly platform?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<HttpReply> {
  return await client.send({
    method: "POST",
    path: "/images/load",
    query: {
      quiet: options.quiet ? "1" : "0",
      platform: options.platform,
      keep: options.keep ? "1" : undefined,
    },
    contentType: "application/x-tar",
    body: tar,
    signal: options.signal,
  });
}
