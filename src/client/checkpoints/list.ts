import { type Client, segment } from "../client.ts";

/** GET /containers/{id}/checkpoints */
export async function listCheckpoints(
  client: Client,
  container: string,
  directory: string,
): Promise<readonly { readonly Name: string }[]> {
  const path = `/containers/${segment(container)}/checkpoints`;
  const query = { dir: directory || undefined };
  return (await client.json<{ Name: string }[] | null>({ method: "GET", path, query })) ?? [];
}
