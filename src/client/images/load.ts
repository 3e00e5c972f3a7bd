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
    readonly platforms?: readonly string[];
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<HttpReply> {
  return await client.send({
    method: "POST",
    path: "/images/load",
    query: {
      quiet: options.quiet ? "1" : "0",
      platform: options.platforms,
      keep: options.keep ? "1" : undefined,
    },
    contentType: "application/x-tar",
    body: tar,
    // Several platforms at once: 1.52.
    since: (options.platforms?.length ?? 0) > 1 ? "1.52" : undefined,
    signal: options.signal,
  });
}
