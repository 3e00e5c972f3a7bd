import { type Call, empty, param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** POST /containers/{id}/stop and /restart: the same parameters. `signal` came with 1.42. */
export function stopRoutes(backend: ContainerLifecycleBackend): readonly Route[] {
  const options = (call: Call) => ({
    signal: call.version >= 42 ? call.query.optional("signal") : undefined,
    timeout: call.query.integer("t"),
  });
  return [
    post("/containers/{id...}/stop", async (call) => {
      await backend.stop(param(call, "id"), options(call));
      empty(call);
    }),
    post("/containers/{id...}/restart", async (call) => {
      await backend.restart(param(call, "id"), options(call));
      empty(call);
    }),
  ];
}
