import { readJson } from "../../body.ts";
import { json, param } from "../../call.ts";
import { updateShape } from "../../decode/container.ts";
import { decode } from "../../decode/shape.ts";
import { post, type Route } from "../../route.ts";
import type { ContainerLifecycleBackend } from "./backend.ts";

/** POST /containers/{id}/update */
export function updateRoute(backend: ContainerLifecycleBackend): Route {
  return post("/containers/{id...}/update", async (call) => {
    const change = decode(updateShape, (await readJson(call.exchange)) ?? {}, "UpdateConfig");
    if (call.version < 40) delete change.PidsLimit;
    if (call.version < 55) {
      delete change.BlkioWeightDevice;
      delete change.BlkioDeviceReadBps;
      delete change.BlkioDeviceWriteBps;
      delete change.BlkioDeviceReadIOps;
      delete change.BlkioDeviceWriteIOps;
    }
    // Every number up to 0 has always meant "unlimited", which an update must be able to say.
    if (typeof change.PidsLimit === "number" && change.PidsLimit <= 0) change.PidsLimit = 0;
    json(call, 200, await backend.update(param(call, "id"), change));
  });
}
