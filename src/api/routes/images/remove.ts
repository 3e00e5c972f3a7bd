import { invalid } from "../../../base/lib/errors.ts";
import { json, param } from "../../call.ts";
import { platformParameter } from "../../platform.ts";
import { post, type Route, remove } from "../../route.ts";
import type { ImageBackend } from "./backend.ts";

/** DELETE /images/{name} and POST /images/prune */
export function removeRoutes(backend: ImageBackend): readonly Route[] {
  return [
    remove("/images/{name...}", async (call) => {
      const { query } = call;
      const name = param(call, "name");
      if (name.trim() === "") throw invalid("image name cannot be blank");
      const platforms =
        call.version >= 50 ? query.all("platforms").flatMap((text) => platformParameter(text) ?? []) : [];
      const removed = await backend.remove(name, {
        force: query.bool("force"),
        noPrune: query.bool("noprune"),
        platforms,
      });
      json(call, 200, removed);
    }),
    post("/images/prune", async (call) => json(call, 200, await backend.prune(call.query.filters()))),
  ];
}
