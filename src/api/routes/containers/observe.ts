import { json, param } from "../../call.ts";
import { lineFormat, streamJson } from "../../json-stream.ts";
import { get, type Route } from "../../route.ts";
import type { ContainerQueryBackend } from "./backend.ts";

/** GET /containers/{id}/top, /changes and /stats */
export function observeRoutes(backend: ContainerQueryBackend): readonly Route[] {
  return [
    get("/containers/{id...}/top", async (call) => {
      json(call, 200, await backend.top(param(call, "id"), call.query.text("ps_args")));
    }),
    get("/containers/{id...}/changes", async (call) => {
      json(call, 200, await backend.changes(param(call, "id")));
    }),
    get("/containers/{id...}/stats", async (call) => {
      const stream = call.query.bool("stream", true);
      const oneShot = call.version >= 41 && call.query.bool("one-shot");
      const samples = backend.stats(param(call, "id"), { stream, oneShot }, call.exchange.signal);
      await streamJson(call, samples, { format: lineFormat });
    }),
  ];
}
