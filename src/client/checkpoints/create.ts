import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/checkpoints */
export async function createCheckpoint(
  client: Client,
  container: string,
  options: { readonly name: string; readonly directory: string; readonly exit: boolean },
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(container)}/checkpoints`,
    json: { CheckpointID: options.name, CheckpointDir: options.directory, Exit: options.exit },
  });
}
