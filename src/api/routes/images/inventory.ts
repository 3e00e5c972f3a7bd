import type { PartialSaveRequest } from "../../../base/spec/docker/extensions.ts";
import { parseInventory } from "../../../base/spec/docker/inventory.ts";
import { readJson } from "../../body.ts";
import { json } from "../../call.ts";
import { decode, object, type Shape, strings } from "../../decode/shape.ts";
import { get, post, type Route } from "../../route.ts";
import { streamBody } from "../../stream-body.ts";
import type { ImageBackend } from "./backend.ts";

const inventory: Shape<PartialSaveRequest["MissingOn"]> = { type: "ImageInventory", read: parseInventory };
const shape = object<PartialSaveRequest>({ Names: strings, Platforms: strings, MissingOn: inventory });

/** GET /images/inventory and POST /images/get, of Tug's own: archives without what the other side has. */
export function inventoryRoutes(backend: ImageBackend): readonly Route[] {
  return [
    get("/images/inventory", async (call) => json(call, 200, await backend.inventory())),
    post("/images/get", async (call) => {
      const request = decode(shape, (await readJson(call.exchange)) ?? {}, "PartialSaveRequest");
      const missingOn = request.MissingOn ?? parseInventory(undefined);
      const options = { platforms: request.Platforms ?? [], missingOn };
      const tar = await backend.save(request.Names ?? [], options, call.exchange.signal);
      await streamBody(call, { "Content-Type": "application/x-tar" }, tar);
    }),
  ];
}
