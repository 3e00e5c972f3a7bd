import type { Volume, VolumeListResponse } from "../../../base/spec/docker/api.gen.ts";
import type { Filters } from "../../filters.ts";

export interface VolumeBackend {
  list(filters: Filters): Promise<VolumeListResponse>;
  create(request: {
    readonly Name?: string;
    readonly Driver?: string;
    readonly DriverOpts?: Readonly<Record<string, string>>;
    readonly Labels?: Readonly<Record<string, string>>;
  }): Promise<Volume>;
  inspect(name: string): Promise<Volume>;
  remove(name: string, options: { readonly force: boolean }): Promise<void>;
  prune(
    filters: Filters,
  ): Promise<{ readonly VolumesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }>;
}
