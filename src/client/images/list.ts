import type { ImageSummary } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** GET /images/json */
export async function listImages(
  client: Client,
  options: {
    readonly all?: boolean;
    readonly digests?: boolean;
    readonly sharedSize?: boolean;
    /** Tell the platforms of each image (API 1.47). */
    readonly manifests?: boolean;
    readonly filters?: Filters | undefined;
  } = {},
): Promise<ImageSummary[]> {
  return await client.json({
    method: "GET",
    path: "/images/json",
    query: {
      all: options.all,
      digests: options.digests,
      "shared-size": options.sharedSize,
      manifests: options.manifests,
      filters: encodeFilters(options.filters),
    },
  });
}
