import { TugError } from "../../../base/lib/errors.ts";
import { json } from "../../call.ts";
import { post, type Route } from "../../route.ts";

/** The builder's routes on a daemon that has none; a builder brings its own in `ApiOptions.routes`. */
export function buildRoutes(): readonly Route[] {
  const refused = ["/build", "/build/cancel", "/session", "/grpc"].map((path) =>
    post(path, async () => {
      throw new TugError("not-implemented", "this daemon has no builder");
    }),
  );
  // A cache that does not exist is an empty one: `system prune` of any client ends with this call.
  const prune = post("/build/prune", async (call) =>
    json(call, 200, { CachesDeleted: null, SpaceReclaimed: 0 }),
  );
  return [...refused, prune];
}
