import { param } from "../../call.ts";
import { platformParameter } from "../../platform.ts";
import { streamProgress } from "../../progress.ts";
import { registryAuth } from "../../registry-auth.ts";
import { post, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** POST /images/{name}/push; without a tag every tag of the repository. */
export function pushRoute(backend: ImageBackend): Route {
  return post("/images/{name...}/push", async (call) => {
    const options = {
      tag: call.query.optional("tag"),
      platform: call.version >= 46 ? platformParameter(call.query.text("platform")) : undefined,
      auth: registryAuth(call.exchange.headers),
    };
    await streamProgress(call, backend.push(param(call, "name"), options, call.exchange.signal));
  });
}
