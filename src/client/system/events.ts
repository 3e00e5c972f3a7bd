import type { EventMessage } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";
import { encodeFilters, type Filters } from "../query.ts";
import { jsonLines } from "../stream/json-lines.ts";
import { textLines } from "../stream/lines.ts";

export interface EventQuery {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly filters?: Filters | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** GET /events: what happens from now on, or between `since` and `until` (seconds with a fraction). */
export async function daemonEvents(
  client: Client,
  options: EventQuery = {},
): Promise<AsyncGenerator<EventMessage, void, void>> {
  return jsonLines((await open(client, options)).body);
}

/** The same as the daemon's own JSON, a line each: its nanoseconds are more than a number here can hold. */
export async function daemonEventLines(
  client: Client,
  options: EventQuery = {},
): Promise<AsyncGenerator<string, void, void>> {
  return textLines((await open(client, options)).body);
}

async function open(client: Client, options: EventQuery) {
  return await client.send({
    method: "GET",
    path: "/events",
    query: {
      since: options.since || undefined,
      until: options.until || undefined,
      filters: encodeFilters(options.filters),
    },
    signal: options.signal,
  });
}
