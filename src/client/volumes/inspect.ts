import { type Client, segment } from "../client.ts";

/** GET /volumes/{name}, as the daemon's own JSON text. */
export async function inspectVolumeRaw(client: Client, name: string): Promise<string> {
  return await client.text({ method: "GET", path: `/volumes/${segment(name, "volume")}` });
}
