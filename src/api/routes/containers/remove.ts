import { empty, json, param } from "../../call.ts";
import { post, type Route, remove } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** DELETE /containers/{id} and POST /containers/prune */
export function removeRoutes(backend: ContainerLifecycleBackend): readonly Route[] {
  return [
    remove("/containers/{id...}", async (call) => {
      const { query } = call;
      const options = { force: query.bool("force"), volumes: query.bool("v"), link: query.bool("link") };
      await backend.remove(param(call, "id"), options);
      empty(call);
    }),
    post("/containers/prune", async (call) => json(call, 200, await backend.prune(call.query.filters()))),
  ];
}
