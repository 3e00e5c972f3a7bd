import type { ContainerSummary } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** GET /containers/json */
export async function listContainers(
  client: Client,
  options: {
    readonly all?: boolean;
    readonly limit?: number | undefined;
    readonly size?: boolean;
    readonly filters?: Filters | undefined;
  } = {},
): Promise<ContainerSummary[]> {
  return await client.json({
    method: "GET",
    path: "/containers/json",
    query: {
      all: options.all,
      limit: options.limit,
      size: options.size,
      filters: encodeFilters(options.filters),
    },
  });
}
