import { type Client, segment } from "../client.ts";

/** DELETE /volumes/{name} */
export async function removeVolume(client: Client, name: string, force: boolean): Promise<void> {
  await client.text({ method: "DELETE", path: `/volumes/${segment(name, "volume")}`, query: { force } });
}
