import { type Client, segment } from "../client.ts";

/** DELETE /containers/{id}/checkpoints/{name} */
export async function removeCheckpoint(
  client: Client,
  container: string,
  name: string,
  directory: string,
): Promise<void> {
  await client.text({
    method: "DELETE",
    path: `/containers/${segment(container)}/checkpoints/${segment(name, "checkpoint")}`,
    query: { dir: directory || undefined },
  });
}
