import { invalid } from "../../../base/lib/errors.ts";
import { empty, param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** POST /containers/{id}/start */
export function startRoute(backend: ContainerLifecycleBackend): Route {
  return post("/containers/{id...}/start", async (call) => {
    const { length } = call.exchange.body;
    // `{}` and `null` still come from old clients; anything longer is a HostConfig of before 1.24.
    if (length === undefined || length > 7) {
      throw invalid(
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
      );
    }
    const detachKeys = call.query.optional("detachKeys");
    const checkpoint = call.query.optional("checkpoint");
    const checkpointDir = call.query.optional("checkpoint-dir");
    await backend.start(param(call, "id"), {
      ...(detachKeys === undefined ? {} : { detachKeys }),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(checkpointDir === undefined ? {} : { checkpointDir }),
    });
    empty(call);
  });
}
