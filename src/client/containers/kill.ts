import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/kill */
export async function killContainer(client: Client, id: string, signal = ""): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(id)}/kill`,
    query: { signal: signal || undefined },
  });
}
