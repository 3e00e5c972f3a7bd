import { param } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import { terminalSize } from "../../terminal-size.ts";
import type { ContainerStreamBackend } from "./backend.ts";

/** POST /containers/{id}/resize */
export function resizeRoute(backend: ContainerStreamBackend): Route {
  return post("/containers/{id...}/resize", async (call) => {
    const { rows, columns } = terminalSize(call.query);
    await backend.resize(param(call, "id"), rows, columns);
    call.exchange.send(200, call.headers);
  });
}
