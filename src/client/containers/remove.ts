import { type Client, segment } from "../client.ts";

/** DELETE /containers/{id} */
export async function removeContainer(
  client: Client,
  id: string,
  options: { readonly force?: boolean; readonly volumes?: boolean; readonly link?: boolean } = {},
): Promise<void> {
  await client.text({
    method: "DELETE",
    path: `/containers/${segment(id)}`,
    query: { force: options.force, v: options.volumes, link: options.link },
  });
}
