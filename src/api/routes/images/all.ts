import type { Route } from "../../route.ts";
import { attestationsRoute } from "./attestations.ts";
import type { ImageBackend } from "./backend.ts";
import { bootstrapRoute } from "./bootstrap.ts";
import { createRoute } from "./create.ts";
import { historyRoute } from "./history.ts";
import { inspectRoute } from "./inspect.ts";
import { inventoryRoutes } from "./inventory.ts";
import { listRoute } from "./list.ts";
import { loadRoute } from "./load.ts";
import { manifestRoutes } from "./manifests.ts";
import { pushRoute } from "./push.ts";
import { removeRoutes } from "./remove.ts";
import { saveRoutes } from "./save.ts";
import { searchRoute } from "./search.ts";
import { tagRoute } from "./tag.ts";

export function imageRoutes(backend: ImageBackend): readonly Route[] {
  return [
    listRoute(backend),
    searchRoute(backend),
    ...manifestRoutes(backend),
    bootstrapRoute(backend),
    createRoute(backend),
    loadRoute(backend),
    ...saveRoutes(backend),
    ...inventoryRoutes(backend),
    inspectRoute(backend),
    historyRoute(backend),
    attestationsRoute(backend),
    pushRoute(backend),
    tagRoute(backend),
    ...removeRoutes(backend),
  ];
}
