import type { Backends } from "../../backend.ts";
import type { Route } from "../../route.ts";
import { archiveRoutes } from "./archive.ts";
import { attachRoute } from "./attach.ts";
import { attachWebsocketRoute } from "./attach-ws.ts";
import { checkpointRoutes } from "./checkpoints.ts";
import { commitRoute } from "./commit.ts";
import { createRoute } from "./create.ts";
import { exportRoute } from "./export.ts";
import { inspectRoute } from "./inspect.ts";
import { listRoute } from "./list.ts";
import { logsRoute } from "./logs.ts";
import { observeRoutes } from "./observe.ts";
import { removeRoutes } from "./remove.ts";
import { resizeRoute } from "./resize.ts";
import { startRoute } from "./start.ts";
import { stateRoutes } from "./state.ts";
import { stopRoutes } from "./stop.ts";
import { updateRoute } from "./update.ts";
import { waitRoute } from "./wait.ts";

export function containerRoutes(backends: Backends): readonly Route[] {
  const { lifecycle, containers, streams, files } = backends;
  return [
    listRoute(containers),
    createRoute(lifecycle),
    inspectRoute(containers),
    startRoute(lifecycle),
    ...stopRoutes(lifecycle),
    ...stateRoutes(lifecycle),
    updateRoute(lifecycle),
    waitRoute(lifecycle),
    ...removeRoutes(lifecycle),
    ...observeRoutes(containers),
    attachRoute(streams),
    attachWebsocketRoute(streams),
    logsRoute(streams),
    resizeRoute(streams),
    ...archiveRoutes(files),
    exportRoute(files),
    commitRoute(files),
    ...checkpointRoutes(backends.checkpoints),
  ];
}
