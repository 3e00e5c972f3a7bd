import { streamJson } from "../../json-stream.ts";
import { platformParameters } from "../../platform.ts";
import { errorMessage } from "../../progress.ts";
import { post, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** POST /images/load */
export function loadRoute(backend: ImageBackend): Route {
  return post("/images/load", async (call) => {
    const options = {
      ...(call.query.bool("keep") ? { keep: true } : {}),
      quiet: call.query.bool("quiet", true),
      platforms: platformParameters(call.version, call.query.all("platform")),
    };
    const tar = call.exchange.body.stream();
    // dockerd has sent its head before it looks at the archive.
    await streamJson(call, backend.load(tar, options, call.exchange.signal), {
      failure: errorMessage,
      failureInStream: () => true,
    });
  });
}
