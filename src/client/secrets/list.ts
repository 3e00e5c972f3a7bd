import type { Secret } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

/** GET /secrets */
export async function listSecrets(client: Client, filters?: Filters): Promise<Secret[]> {
  return await client.json({ method: "GET", path: "/secrets", query: { filters: encodeFilters(filters) } });
}
