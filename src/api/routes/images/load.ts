import type { ImageBackend } from "../../backend.ts";
import { platformParameters } from "../../platform.ts";
import { streamProgress } from "../../progress.ts";
import { post, type Route } from "../../route.ts";

/** POST /images/load */
export function loadRoute(backend: ImageBackend): Route {
  return post("/images/load", async (call) => {
    const options = {
      quiet: call.query.bool("quiet", true),
      platforms: platformParameters(call.version, call.query.all("platform")),
    };
    const tar = call.exchange.body.stream();
    await streamProgress(call, backend.load(tar, options, call.exchange.signal));
  });
}
