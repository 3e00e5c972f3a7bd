import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

export interface VolumesPruned {
  readonly VolumesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed: number;
}

/** POST /volumes/prune */
export async function pruneVolumes(client: Client, filters: Filters | undefined): Promise<VolumesPruned> {
  return await client.json({
    method: "POST",
    path: "/volumes/prune",
    query: { filters: encodeFilters(filters) },
  });
}
