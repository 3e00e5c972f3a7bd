import type { ImageInspect } from "../../base/spec/docker/api.gen.ts";
import { type Client, imagePath } from "../client.ts";

/** GET /images/{name}/json */
export async function inspectImage(client: Client, name: string, platform?: string): Promise<ImageInspect> {
  return JSON.parse(await inspectImageRaw(client, name, platform)) as ImageInspect;
}

/** The same as the daemon's own JSON text. */
export async function inspectImageRaw(client: Client, name: string, platform?: string): Promise<string> {
  return await client.text({
    method: "GET",
    path: `/images/${imagePath(name)}/json`,
    query: { platform: platform || undefined },
  });
}
