import { invalid } from "../../../base/lib/errors.ts";
import { param } from "../../call.ts";
import { get, type Route } from "../../route.ts";
import { ReplyClient } from "../../stream-client.ts";
import type { ContainerStreamBackend } from "./backend.ts";

/** GET /containers/{id}/logs */
export function logsRoute(backend: ContainerStreamBackend): Route {
  return get("/containers/{id...}/logs", async (call) => {
    const { query } = call;
    const stdout = query.bool("stdout");
    const stderr = query.bool("stderr");
    if (!stdout && !stderr) throw invalid("Bad parameters: you must choose at least one stream");
    const now = Date.now();
    const tail = query.text("tail");
    const client = new ReplyClient(call);
    await backend.logs(
      param(call, "id"),
      {
        follow: query.bool("follow"),
        stdout,
        stderr,
        since: query.timestamp("since", now),
        until: query.timestamp("until", now),
        timestamps: query.bool("timestamps"),
        details: query.bool("details"),
        // "all", nothing, and what is no number: every line.
        tail: /^\d{1,15}$/.test(tail) ? Number(tail) : undefined,
      },
      client,
    );
    await client.finish(false);
  });
}
