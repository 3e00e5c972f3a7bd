import type { BuildCache, ContainerSummary, ImageSummary, Volume } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** Sizes of everything: the layout of API versions before 1.52, and what their lists do not tell. */
export interface DiskUsage {
  /** From Tug: what goes when every image goes that no container uses. */
  readonly ImageUsage?: { readonly Reclaimable?: number } | null;
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[] | null;
  readonly Containers?: readonly ContainerSummary[] | null;
  readonly Volumes?: readonly Volume[] | null;
  readonly BuildCache?: readonly BuildCache[] | null;
}

/** GET /system/df. `verbose` is what Tug adds the sums for; Docker of this API version does not know it. */
export async function diskUsage(client: Client): Promise<DiskUsage> {
  return await client.json({ method: "GET", path: "/system/df", query: { verbose: "true" } });
}
