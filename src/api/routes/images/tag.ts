import { invalid } from "../../../base/lib/errors.ts";
import { param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** POST /images/{name}/tag */
export function tagRoute(backend: ImageBackend): Route {
  return post("/images/{name...}/tag", async (call) => {
    const repo = call.query.text("repo");
    if (repo === "") throw invalid("invalid reference format");
    await backend.tag(param(call, "name"), repo, call.query.text("tag"));
    call.exchange.send(201, call.headers);
  });
}
