import { invalid } from "../../../base/lib/errors.ts";
import { eventKnown, eventReply } from "../../compat/event.ts";
import { acceptedFormat, streamJson } from "../../json-stream.ts";
import { get, type Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";

/** GET /events: past ones since `since`, then live ones, a JSON value each. */
export function eventRoutes(backend: SystemBackend): readonly Route[] {
  return [
    get("/events", async (call) => {
      const now = Date.now();
      const since = call.query.timestamp("since", now);
      const until = call.query.timestamp("until", now);
      if (since !== undefined && until !== undefined && until < since) {
        throw invalid(
          `\`since\` time (${call.query.text("since")}) cannot be after \`until\` time (${call.query.text("until")})`,
        );
      }
      const options = { since, until, filters: call.query.filters() };
      await streamJson(call, backend.events(options, call.exchange.signal), {
        headAtOnce: true,
        format: acceptedFormat(call),
        only: (event) => eventKnown(call.version, event),
        each: (event) => eventReply(call.version, event),
      });
    }),
  ];
}
