import type { EventMessage } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";
import { jsonLines } from "../stream/json-lines.ts";

/** GET /events: what happens from now on, or between `since` and `until` (seconds with a fraction). */
export async function daemonEvents(
  client: Client,
  options: {
    readonly since?: string | undefined;
    readonly until?: string | undefined;
    readonly filters?: Filters | undefined;
    readonly signal?: AbortSignal | undefined;
  } = {},
): Promise<AsyncGenerator<EventMessage, void, void>> {
  const reply = await client.send({
    method: "GET",
    path: "/events",
    query: {
      since: options.since || undefined,
      until: options.until || undefined,
      filters: encodeFilters(options.filters),
    },
    signal: options.signal,
  });
  return jsonLines(reply.body);
}
