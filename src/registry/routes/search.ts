import type { Parts } from "../parts.ts";
import { listRepositories } from "../records/listings.ts";
import { type Route, sendJson } from "./route.ts";

const defaultResults = 25;
const maxResults = 100;

/** The two routes of Docker Registry API v1 that `docker search HOST/TERM` uses. */
export function searchRoutes(parts: Parts): readonly Route[] {
  const base = { method: "GET", name: "search", action: undefined } as const;
  return [
    {
      ...base,
      pattern: "/v1/_ping",
      run: async (call) => sendJson(call, 200, true, { "X-Docker-Registry-Standalone": "true" }),
    },
    {
      ...base,
      pattern: "/v1/search",
      run: async (call) => {
        const query = (call.query.get("q") ?? "").slice(0, 255);
        const asked = Number(call.query.get("n") ?? defaultResults);
        const limit = Number.isInteger(asked) && asked > 0 ? Math.min(asked, maxResults) : defaultResults;
        const { found } = listRepositories(parts.records, { last: "", limit, match: query }, (name) =>
          call.identity.sees(name),
        );
        const results = found.map((each) => ({
          name: each.name,
          description: each.description,
          star_count: 0,
          is_official: false,
          is_automated: false,
          is_trusted: false,
        }));
        sendJson(call, 200, {
          query,
          num_results: results.length,
          num_pages: 1,
          page: 1,
          page_size: limit,
          results,
        });
      },
    },
  ];
}
