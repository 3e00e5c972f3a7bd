import type { CacheObjects } from "../../solve/objects.ts";
import type { CacheMounts } from "./cache-mounts.ts";

/** Cache mounts as `builder du` and `builder prune` have them. */
export function cacheMountObjects(mounts: CacheMounts): CacheObjects {
  return {
    list: async () =>
      (await mounts.list()).map(({ name, description, inUse, size, created, lastUsed, uses }) => ({
        id: name,
        parents: [],
        type: "exec.cachemount",
        description,
        inUse,
        shared: false,
        size,
        created,
        used: uses > 0 ? lastUsed : undefined,
        uses,
      })),
    remove: (id) => mounts.remove(id),
  };
}
