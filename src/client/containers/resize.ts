import { type Client, segment } from "../client.ts";

/** POST /containers/{id}/resize */
export async function resizeContainer(
  client: Client,
  id: string,
  size: { readonly height: number; readonly width: number },
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/containers/${segment(id)}/resize`,
    query: { h: size.height, w: size.width },
  });
}
