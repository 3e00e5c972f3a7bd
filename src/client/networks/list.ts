import type { NetworkSummary } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** GET /networks */
export async function listNetworks(client: Client, filters?: Filters): Promise<NetworkSummary[]> {
  return await client.json({ method: "GET", path: "/networks", query: { filters: encodeFilters(filters) } });
}
