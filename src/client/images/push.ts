import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { authHeader } from "../auth.ts";
import { type Client, imagePath } from "../client.ts";
import { jsonLines } from "../stream/json-lines.ts";
import type { ProgressMessage } from "./progress.ts";

/** POST /images/{name}/push */
export async function pushImage(
  client: Client,
  options: {
    readonly image: string;
    readonly tag: string;
    readonly platform?: string | undefined;
    readonly auth?: AuthConfig | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<AsyncGenerator<ProgressMessage, void, void>> {
  const reply = await client.send({
    method: "POST",
    path: `/images/${imagePath(options.image)}/push`,
    query: { tag: options.tag || undefined, platform: options.platform || undefined },
    headers: authHeader(options.auth ?? {}),
    signal: options.signal,
  });
  return jsonLines(reply.body);
}
