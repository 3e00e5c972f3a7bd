import { TugError } from "../../../base/lib/errors.ts";
import { readJson } from "../../body.ts";
import { empty, json, param } from "../../call.ts";
import { decode, map, object, string } from "../../decode/shape.ts";
import { get, post, put, type Route, remove } from "../../route.ts";
import type { VolumeBackend } from "./backend.ts";

const createShape = object<{
  Name?: string;
  Driver?: string;
  DriverOpts?: Record<string, string>;
  Labels?: Record<string, string>;
}>({ Name: string, Driver: string, DriverOpts: map(string), Labels: map(string) });

export function volumeRoutes(backend: VolumeBackend): readonly Route[] {
  return [
    get("/volumes", async (call) => json(call, 200, await backend.list(call.query.filters()))),
    post("/volumes/create", async (call) => {
      const body = await readJson(call.exchange);
      // An empty body makes an anonymous volume, as it always did.
      json(call, 201, await backend.create(decode(createShape, body ?? {}, "CreateOptions")));
    }),
    get("/volumes/{name...}", async (call) => json(call, 200, await backend.inspect(param(call, "name")))),
    remove("/volumes/{name...}", async (call) => {
      await backend.remove(param(call, "name"), { force: call.query.bool("force") });
      empty(call);
    }),
    post("/volumes/prune", async (call) => {
      const filters = call.query.filters();
      // Until 1.42 prune took named volumes too.
      const old = call.version < 42 && filters["all"] === undefined;
      json(call, 200, await backend.prune(old ? { ...filters, all: ["true"] } : filters));
    }),
    // Only cluster volumes can be updated, and they live in a swarm.
    put("/volumes/{name...}", async () => {
      throw new TugError(
        "unavailable",
        "volume update only valid for cluster volumes, but swarm is unavailable",
      );
    }),
  ];
}
