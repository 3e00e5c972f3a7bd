import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { authHeader } from "../auth.ts";
import type { Client } from "../client.ts";
import { jsonLines } from "../stream/json-lines.ts";
import type { ProgressMessage } from "./progress.ts";

/** POST /images/create?fromImage: pulls, reporting progress. */
export async function pullImage(
  client: Client,
  options: {
    readonly image: string;
    readonly tag: string;
    readonly platform?: string | undefined;
    /** Tell of every endpoint that is tried. */
    readonly explain?: boolean | undefined;
    readonly auth?: AuthConfig | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AsyncGenerator<ProgressMessage, void, void>> {
  const reply = await client.send({
    method: "POST",
    path: "/images/create",
    query: {
      fromImage: options.image,
      tag: options.tag || undefined,
      explain: options.explain ? "1" : undefined,
      platform: options.platform?.toLowerCase() || undefined,
    },
    headers: authHeader(options.auth),
    signal: options.signal,
  });
  return jsonLines(reply.body);
}
