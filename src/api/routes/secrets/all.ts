import { invalid } from "../../../base/lib/errors.ts";
import type { Driver, SecretSpec } from "../../../base/spec/docker/api.gen.ts";
import { readJson } from "../../body.ts";
import { empty, json, param } from "../../call.ts";
import { decode, map, object, string } from "../../decode/shape.ts";
import { get, post, type Route, remove } from "../../route.ts";
import type { SecretBackend } from "./backend.ts";

const driver = object<Driver>({ Name: string, Options: map(string) });
const specShape = object<SecretSpec>({
  Name: string,
  Labels: map(string),
  Data: string,
  Driver: driver,
  Templating: driver,
});

/** /secrets of this node; the wire is a swarm's, so its clients work. */
export function secretRoutes(backend: SecretBackend): readonly Route[] {
  return [
    get("/secrets", async (call) => json(call, 200, await backend.list(call.query.filters()))),
    post("/secrets/create", async (call) => {
      const spec = decode(specShape, (await readJson(call.exchange)) ?? {}, "SecretSpec");
      json(call, 201, await backend.create(spec));
    }),
    get("/secrets/{id}", async (call) => json(call, 200, await backend.inspect(param(call, "id")))),
    remove("/secrets/{id}", async (call) => {
      await backend.remove(param(call, "id"));
      empty(call);
    }),
    post("/secrets/{id}/update", async (call) => {
      const text = call.query.text("version");
      if (!/^\d{1,15}$/.test(text)) {
        throw invalid(
          `invalid secret version '${text}': strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
        );
      }
      const spec = decode(specShape, (await readJson(call.exchange)) ?? {}, "SecretSpec");
      await backend.update(param(call, "id"), Number(text), spec);
      call.exchange.send(200, call.headers);
    }),
  ];
}
