import { param } from "../../call.ts";
import { get, type Route } from "../../route.ts";
import { streamBody } from "../../stream-body.ts";
import type { ContainerFilesBackend } from "./backend.ts";

/** GET /containers/{id}/export */
export function exportRoute(backend: ContainerFilesBackend): Route {
  return get("/containers/{id...}/export", async (call) => {
    const tar = await backend.export(param(call, "id"), call.exchange.signal);
    await streamBody(call, { "Content-Type": "application/octet-stream" }, tar);
  });
}
