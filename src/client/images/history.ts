import type { ImageHistoryResponseItem } from "../../base/spec/docker/api.gen.ts";
import { type Client, imagePath } from "../client.ts";

/** GET /images/{name}/history */
export async function imageHistory(
  client: Client,
  name: string,
  platform?: string,
): Promise<ImageHistoryResponseItem[]> {
  return await client.json({
    method: "GET",
    path: `/images/${imagePath(name)}/history`,
    query: { platform: platform || undefined },
  });
}
