import { invalid } from "../../../base/lib/errors.ts";
import { json } from "../../call.ts";
import { imageSummaryReply } from "../../compat/image.ts";
import { get, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/json */
export function listRoute(backend: ImageBackend): Route {
  return get("/images/json", async (call) => {
    const { query, version } = call;
    const filters = { ...query.filters() };
    const pattern = query.optional("filter");
    if (version < 25 && pattern !== undefined && !filters["reference"]) filters["reference"] = [pattern];
    const manifests = version >= 47 && query.bool("manifests");
    const identity = version >= 54 && query.bool("identity");
    if (identity && !manifests) {
      throw invalid("conflicting options: identity requires manifests=1");
    }
    const list = await backend.list({
      all: query.bool("all"),
      filters,
      sharedSize: version >= 42 && query.bool("shared-size"),
      digests: query.bool("digests"),
      manifests,
      identity,
    });
    const replies = list.map((image) => imageSummaryReply(version, image));
    json(call, 200, replies);
  });
}
