import { type Client, segment } from "../client.ts";

/** DELETE /networks/{id} */
export async function removeNetwork(client: Client, id: string): Promise<void> {
  await client.text({ method: "DELETE", path: `/networks/${segment(id, "network")}` });
}
