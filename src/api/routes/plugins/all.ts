import { notFound, TugError } from "../../../base/lib/errors.ts";
import { json, param } from "../../call.ts";
import { get, post, type Route, remove } from "../../route.ts";

/** Managed plugins of a daemon that has none installed. */
export function pluginRoutes(): readonly Route[] {
  const absent: Route["handle"] = async (call) => {
    throw notFound(`plugin "${param(call, "name")}" not found`);
  };
  const noPlugins: Route["handle"] = async () => {
    throw new TugError("not-implemented", "managed plugins are not available on this daemon");
  };
  return [
    get("/plugins/privileges", noPlugins),
    post("/plugins/pull", noPlugins),
    post("/plugins/create", noPlugins),
    get("/plugins", async (call) => json(call, 200, [])),
    get("/plugins/{name...}/json", absent),
    remove("/plugins/{name...}", absent),
    post("/plugins/{name...}/enable", absent),
    post("/plugins/{name...}/disable", absent),
    post("/plugins/{name...}/upgrade", absent),
    post("/plugins/{name...}/push", absent),
    post("/plugins/{name...}/set", absent),
  ];
}
