import { invalid } from "../../../base/lib/errors.ts";
import type { ImageBackend } from "../../backend.ts";
import { json, param } from "../../call.ts";
import { platformParameter } from "../../platform.ts";
import { get, type Route } from "../../route.ts";

/** GET /images/{name}/attestations. The store keeps only what runs, never the attestations beside it: the list is empty. */
export function attestationsRoute(backend: ImageBackend): Route {
  return get("/images/{name...}/attestations", async (call) => {
    const platforms = call.query.all("platform");
    if (platforms.length > 1) throw invalid("only one platform value is currently supported");
    await backend.inspect(param(call, "name"), {
      manifests: false,
      platform: platformParameter(platforms[0] ?? ""),
    });
    json(call, 200, []);
  });
}
