import { type Call, param } from "../../call.ts";
import { platformParameters } from "../../platform.ts";
import { get, type Route } from "../../route.ts";
import { streamBody } from "../../stream-body.ts";
import type { ImageBackend } from "./backend.ts";

/** GET /images/{name}/get and GET /images/get?names=… */
export function saveRoutes(backend: ImageBackend): readonly Route[] {
  const save = async (call: Call, names: readonly string[]) => {
    const platforms = platformParameters(call.version, call.query.all("platform"));
    const tar = await backend.save(names, { platforms }, call.exchange.signal);
    await streamBody(call, { "Content-Type": "application/x-tar" }, tar);
  };
  return [
    get("/images/get", (call) => save(call, call.query.all("names"))),
    get("/images/{name...}/get", (call) => save(call, [param(call, "name")])),
  ];
}
