import type { VolumeListResponse } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** GET /volumes */
export async function listVolumes(client: Client, filters?: Filters): Promise<VolumeListResponse> {
  return await client.json({ method: "GET", path: "/volumes", query: { filters: encodeFilters(filters) } });
}
