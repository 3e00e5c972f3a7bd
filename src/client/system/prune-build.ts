import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** POST /build/prune */
export async function pruneBuildCache(
  client: Client,
  options: { readonly all?: boolean; readonly filters?: Filters | undefined },
): Promise<{ readonly CachesDeleted?: readonly string[] | null; readonly SpaceReclaimed: number }> {
  return await client.json({
    method: "POST",
    path: "/build/prune",
    query: { all: options.all, filters: encodeFilters(options.filters) },
  });
}
