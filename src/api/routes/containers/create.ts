import { invalid } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { json } from "../../call.ts";
import { bendCreate } from "../../compat/create.ts";
import { createShape } from "../../decode/container.ts";
import { decode } from "../../decode/shape.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** POST /containers/create */
export function createRoute(backend: ContainerLifecycleBackend): Route {
  return post("/containers/create", async (call) => {
    const value = await readJson(call.exchange);
    if (value === undefined) throw invalid("invalid JSON: got EOF while reading request body");
    const body = decode(createShape, value ?? {}, "CreateRequest");
    const { HostConfig: _host, NetworkingConfig: _networking, MacAddress: _mac, ...config } = body;
    if (Object.keys(config).length === 0) {
      throw invalid("config cannot be empty in order to create a container");
    }
    const { request, warnings, readOnlyNonRecursive } = bendCreate(call.version, body);
    const created = await backend.create(request, {
      name: call.query.optional("name"),
      platform: call.version >= 41 ? call.query.optional("platform") : undefined,
      readOnlyNonRecursive,
    });
    json(call, 201, { Id: created.Id, Warnings: [...created.Warnings, ...warnings] });
  });
}
