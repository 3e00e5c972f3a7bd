import { json, param } from "../../call.ts";
import { inspectReply } from "../../compat/container.ts";
import { get, type Route } from "../../route.ts";
import type { ContainerQueryBackend } from "./backend.ts";

/** GET /containers/{id}/json */
export function inspectRoute(backend: ContainerQueryBackend): Route {
  return get("/containers/{id...}/json", async (call) => {
    const container = await backend.inspect(param(call, "id"), { size: call.query.bool("size") });
    json(call, 200, inspectReply(call.version, container));
  });
}
