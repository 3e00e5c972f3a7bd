import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/rename */
export async function renameContainer(client: Client, id: string, name: string): Promise<void> {
  await client.text({ method: "POST", path: `/containers/${segment(id)}/rename`, query: { name } });
}
