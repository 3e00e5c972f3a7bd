import { type Client, segment } from "../client.ts";

/** DELETE /secrets/{id} */
export async function removeSecret(client: Client, id: string): Promise<void> {
  await client.text({ method: "DELETE", path: `/secrets/${segment(id, "secret")}` });
}
