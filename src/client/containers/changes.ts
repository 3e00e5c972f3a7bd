import type { FilesystemChange } from "../../base/spec/docker/api.gen.ts";
import { type Client, segment } from "../client.ts";

/** GET /containers/{id}/changes */
export async function containerChanges(client: Client, id: string): Promise<FilesystemChange[]> {
  return (
    (await client.json<FilesystemChange[] | null>({
      method: "GET",
      path: `/containers/${segment(id)}/changes`,
    })) ?? []
  );
}
