import { invalid } from "../../../base/lib/errors.ts";
import { json, param } from "../../call.ts";
import { platformParameter } from "../../platform.ts";
import { get, type Route } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/{name}/attestations: in-toto statements that came with an image's index. */
export function attestationsRoute(backend: ImageBackend): Route {
  return get("/images/{name...}/attestations", async (call) => {
    const platforms = call.query.all("platform");
    if (platforms.length > 1) throw invalid("only one platform value is currently supported");
    const statements = await backend.attestations(param(call, "name"), {
      platform: platformParameter(platforms[0] ?? ""),
      types: call.query.all("type"),
      statement: call.query.bool("statement"),
    });
    json(call, 200, statements);
  });
}
