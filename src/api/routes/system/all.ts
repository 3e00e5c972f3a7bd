import type { ApiOptions } from "../../options.ts";
import type { Route } from "../../route.ts";
import type { SystemBackend } from "./backend.ts";
import { checkRoutes } from "./check.ts";
import { diskUsageRoutes } from "./disk-usage.ts";
import { eventRoutes } from "./events.ts";
import { infoRoutes } from "./info.ts";
import { pingRoutes } from "./ping.ts";
import { registryRoutes } from "./registry.ts";

export function systemRoutes(backend: SystemBackend, about: ApiOptions["about"]): readonly Route[] {
  return [
    ...pingRoutes(about),
    ...infoRoutes(backend),
    ...eventRoutes(backend),
    ...diskUsageRoutes(backend),
    ...checkRoutes(backend),
    ...registryRoutes(backend),
  ];
}
