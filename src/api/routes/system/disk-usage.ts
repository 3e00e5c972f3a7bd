import { invalid } from "../../../base/lib/errors.ts";
import { json } from "../../call.ts";
import { diskUsageReply } from "../../compat/disk-usage.ts";
import { get, type Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";

const kinds = ["container", "image", "volume", "build-cache"];

/** GET /system/df; `type` came with 1.42. */
export function diskUsageRoutes(backend: SystemBackend): readonly Route[] {
  return [
    get("/system/df", async (call) => {
      const types = call.version >= 42 ? call.query.all("type") : [];
      for (const type of types) if (!kinds.includes(type)) throw invalid(`unknown object type: ${type}`);
      // Before 1.52, and for whoever does not say, the answer has every item.
      const asks = call.query.text("verbose") !== "";
      const legacy = call.version < 52 || !asks;
      const verbose = legacy || call.query.bool("verbose");
      const usage = await backend.diskUsage(types.length > 0 ? types : kinds, { verbose });
      json(call, 200, diskUsageReply(call.version, { legacy, sums: asks }, usage));
    }),
  ];
}
