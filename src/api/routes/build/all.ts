import { TugError } from "../../../base/lib/errors.ts";
import { post, type Route } from "../../route.ts";

/** The builder's routes on a daemon that has none; a builder brings its own in `ApiOptions.routes`. */
export function buildRoutes(): readonly Route[] {
  return ["/build", "/build/prune", "/build/cancel", "/session", "/grpc"].map((path) =>
    post(path, async () => {
      throw new TugError("not-implemented", "this daemon has no builder");
    }),
  );
}
