import { invalid } from "../../../base/lib/errors.ts";
import { json, param } from "../../call.ts";
import { imageInspectReply } from "../../compat/image.ts";
import { platformParameter } from "../../platform.ts";
import { get, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/{name}/json */
export function inspectRoute(backend: ImageBackend): Route {
  return get("/images/{name...}/json", async (call) => {
    const { query, version } = call;
    const manifests = version >= 48 && query.bool("manifests");
    const platform = version >= 49 ? platformParameter(query.text("platform")) : undefined;
    if (manifests && platform !== undefined) {
      throw invalid("conflicting options: manifests and platform options cannot both be set");
    }
    const image = await backend.inspect(param(call, "name"), { manifests, platform });
    json(call, 200, imageInspectReply(version, image));
  });
}
