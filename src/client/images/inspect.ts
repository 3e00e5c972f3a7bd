import { type Client, imagePath } from "../client.ts";

/** GET /images/{name}/json, as the daemon's own JSON text. */
export async function inspectImageRaw(client: Client, name: string, platform?: string): Promise<string> {
  return await client.text({
    method: "GET",
    path: `/images/${imagePath(name)}/json`,
    query: { platform: platform || undefined },
  });
}
