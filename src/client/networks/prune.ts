import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** POST /networks/prune */
export async function pruneNetworks(
  client: Client,
  filters: Filters | undefined,
): Promise<{ readonly NetworksDeleted?: readonly string[] | null }> {
  return await client.json({
    method: "POST",
    path: "/networks/prune",
    query: { filters: encodeFilters(filters) },
  });
}
