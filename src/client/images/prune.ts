import type { ImageDeleteResponseItem } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

export interface ImagesPruned {
  readonly ImagesDeleted?: readonly ImageDeleteResponseItem[] | null;
  readonly SpaceReclaimed: number;
}

/** POST /images/prune */
export async function pruneImages(client: Client, filters: Filters | undefined): Promise<ImagesPruned> {
  return await client.json({
    method: "POST",
    path: "/images/prune",
    query: { filters: encodeFilters(filters) },
  });
}
