import type { ImageDeleteResponseItem } from "../../base/spec/docker/api.gen.ts";
import { type Client, imagePath } from "../client.ts";

/** DELETE /images/{name} */
export async function removeImage(
  client: Client,
  name: string,
  options: {
    readonly force?: boolean;
    readonly noPrune?: boolean;
    readonly platforms?: readonly string[];
  } = {},
): Promise<ImageDeleteResponseItem[]> {
  return await client.json({
    method: "DELETE",
    path: `/images/${imagePath(name)}`,
    query: { force: options.force, noprune: options.noPrune, platforms: options.platforms },
  });
}
