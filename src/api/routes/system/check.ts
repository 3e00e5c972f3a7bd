import { json } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";

/** POST /system/check, which Docker does not have: `quick`, `repair`. A request that is given up ends the check. */
export function checkRoutes(backend: SystemBackend): readonly Route[] {
  return [
    post("/system/check", async (call) => {
      const options = { quick: call.query.bool("quick"), repair: call.query.bool("repair") };
      json(call, 200, await backend.check(options, call.exchange.signal));
    }),
  ];
}
