import type { BuildCache, ContainerSummary, ImageSummary, Volume } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

/** Sizes of everything; the layout that every API version has. */
export interface DiskUsage {
  readonly LayersSize?: number;
  readonly Images?: readonly ImageSummary[] | null;
  readonly Containers?: readonly ContainerSummary[] | null;
  readonly Volumes?: readonly Volume[] | null;
  readonly BuildCache?: readonly BuildCache[] | null;
}

/** GET /system/df */
export async function diskUsage(client: Client): Promise<DiskUsage> {
  return await client.json({ method: "GET", path: "/system/df" });
}
