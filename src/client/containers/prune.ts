import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

export interface ContainersPruned {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly SpaceReclaimed: number;
}

/** POST /containers/prune */
export async function pruneContainers(
  client: Client,
  filters: Filters | undefined,
): Promise<ContainersPruned> {
  return await client.json({
    method: "POST",
    path: "/containers/prune",
    query: { filters: encodeFilters(filters) },
  });
}
