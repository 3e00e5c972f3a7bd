import type { ContainerConfig, IDResponse } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** POST /commit: an image of a container's current state. */
export async function commitContainer(
  client: Client,
  options: {
    readonly container: string;
    readonly repo: string;
    readonly tag: string;
    readonly comment?: string;
    readonly author?: string;
    readonly changes?: readonly string[];
    readonly pause: boolean;
  },
): Promise<string> {
  const reply = await client.json<IDResponse>({
    method: "POST",
    path: "/commit",
    query: {
      container: options.container,
      repo: options.repo || undefined,
      tag: options.tag || undefined,
      comment: options.comment || undefined,
      author: options.author || undefined,
      changes: options.changes,
      pause: options.pause ? "1" : "0",
    },
    json: {} satisfies ContainerConfig,
  });
  return reply.Id;
}
