import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import { authHeader } from "../auth.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated?: boolean;
}

/** GET /images/search */
export async function searchImages(
  client: Client,
  options: {
    readonly term: string;
    readonly limit?: number | undefined;
    readonly filters?: Filters | undefined;
    readonly auth?: AuthConfig | undefined;
  },
): Promise<SearchResult[]> {
  return await client.json({
    method: "GET",
    path: "/images/search",
    query: { term: options.term, limit: options.limit || undefined, filters: encodeFilters(options.filters) },
    headers: authHeader(options.auth),
  });
}
