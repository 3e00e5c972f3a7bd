import { json, param } from "../../call.ts";
import { platformParameter } from "../../platform.ts";
import { get, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/{name}/history */
export function historyRoute(backend: ImageBackend): Route {
  return get("/images/{name...}/history", async (call) => {
    const platform = call.version >= 48 ? platformParameter(call.query.text("platform")) : undefined;
    json(call, 200, await backend.history(param(call, "name"), { platform }));
  });
}
