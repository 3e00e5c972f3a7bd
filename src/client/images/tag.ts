import { type Client, imagePath } from "../client.ts";

/** POST /images/{name}/tag */
export async function tagImage(client: Client, name: string, repo: string, tag: string): Promise<void> {
  await client.text({
    method: "POST",
    path: `/images/${imagePath(name)}/tag`,
    query: { repo, tag: tag || undefined },
  });
}
