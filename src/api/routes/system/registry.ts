import { readJson } from "../../body.ts";
import { json, param } from "../../call.ts";
import { credentialsShape } from "../../decode/credentials.ts";
import { decode } from "../../decode/shape.ts";
import { registryAuth } from "../../registry-auth.ts";
import { get, post, type Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";

/** POST /auth and GET /distribution/{name}/json: the two that talk to a registry for their own sake. */
export function registryRoutes(backend: SystemBackend): readonly Route[] {
  return [
    post("/auth", async (call) => {
      const credentials = decode(credentialsShape, (await readJson(call.exchange)) ?? {}, "AuthConfig");
      json(call, 200, await backend.login(credentials));
    }),
    get("/distribution/{name...}/json", async (call) => {
      const auth = registryAuth(call.exchange.headers);
      json(call, 200, await backend.distribution(param(call, "name"), auth));
    }),
  ];
}
