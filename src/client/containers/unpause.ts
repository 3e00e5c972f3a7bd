import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/unpause */
export async function unpauseContainer(client: Client, id: string): Promise<void> {
  await client.text({ method: "POST", path: `/containers/${segment(id)}/unpause` });
}
