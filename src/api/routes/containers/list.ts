import { json } from "../../call.ts";
import { summaryReply } from "../../compat/container.ts";
import { get, type Route } from "../../route.ts";
import type { ContainerQueryBackend } from "./backend.ts";

/** GET /containers/json */
export function listRoute(backend: ContainerQueryBackend): Route {
  return get("/containers/json", async (call) => {
    const { query, version } = call;
    const filters = { ...query.filters() };
    // Two parameters of old that are filters today.
    for (const name of ["since", "before"]) {
      const value = query.optional(name);
      if (value !== undefined) filters[name] = [value];
    }
    const list = await backend.list({
      all: query.bool("all"),
      limit: query.integer("limit") ?? 0,
      size: query.bool("size"),
      filters,
    });
    const replies = list.map((summary) => summaryReply(version, summary));
    json(call, 200, replies);
  });
}
