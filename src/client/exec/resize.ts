import { type Client, segment } from "../client.ts";

/** POST /exec/{id}/resize */
export async function resizeExec(
  client: Client,
  id: string,
  size: { readonly height: number; readonly width: number },
): Promise<void> {
  await client.text({
    method: "POST",
    path: `/exec/${segment(id, "exec")}/resize`,
    query: { h: size.height, w: size.width },
  });
}
