import { codeOf, messageOf, TugError } from "../../../base/lib/errors.ts";
import { empty, param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** POST /containers/{id}/kill, /pause, /unpause and /rename: one parameter at most. */
export function stateRoutes(backend: ContainerLifecycleBackend): readonly Route[] {
  return [
    post("/containers/{id...}/kill", async (call) => {
      const id = param(call, "id");
      try {
        await backend.kill(id, call.query.optional("signal"));
      } catch (error) {
        throw new TugError(codeOf(error), `cannot kill container: ${id}: ${messageOf(error)}`, {
          cause: error,
        });
      }
      empty(call);
    }),
    post("/containers/{id...}/pause", async (call) => {
      await backend.pause(param(call, "id"));
      empty(call);
    }),
    post("/containers/{id...}/unpause", async (call) => {
      await backend.unpause(param(call, "id"));
      empty(call);
    }),
    post("/containers/{id...}/rename", async (call) => {
      await backend.rename(param(call, "id"), call.query.text("name"));
      empty(call);
    }),
  ];
}
