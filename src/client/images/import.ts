import type { Client } from "../client.ts";
import type { RequestBody } from "../http/transport.ts";
import { jsonLines } from "../stream/json-lines.ts";
import type { ProgressMessage } from "./progress.ts";

/** POST /images/create?fromSrc: an image of one layer from a tar, or from a URL that the daemon fetches. */
export async function importImage(
  client: Client,
  options: {
    readonly source: string;
    readonly tar?: RequestBody | undefined;
    readonly repo: string;
    readonly tag?: string;
    readonly message?: string;
    readonly changes?: readonly string[];
    readonly platform?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AsyncGenerator<ProgressMessage, void, void>> {
  const reply = await client.send({
    method: "POST",
    path: "/images/create",
    query: {
      fromSrc: options.source,
      repo: options.repo || undefined,
      tag: options.tag || undefined,
      message: options.message || undefined,
      changes: options.changes,
      platform: options.platform?.toLowerCase() || undefined,
    },
    contentType: "text/plain",
    body: options.tar,
    signal: options.signal,
  });
  return jsonLines(reply.body);
}
