import { json } from "../../call.ts";
import { infoReply } from "../../compat/info.ts";
import { get, type Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";

export function infoRoutes(backend: SystemBackend): readonly Route[] {
  return [
    get("/info", async (call) => json(call, 200, infoReply(call.version, await backend.info()))),
    get("/version", async (call) => json(call, 200, await backend.version())),
  ];
}
