import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/pause */
export async function pauseContainer(client: Client, id: string): Promise<void> {
  await client.text({ method: "POST", path: `/containers/${segment(id)}/pause` });
}
