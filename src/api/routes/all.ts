import type { ApiOptions } from "../options.ts";
import type { Route } from "../route.ts";
import { buildRoutes } from "./build/all.ts";
import { containerRoutes } from "./containers/all.ts";
import { execRoutes } from "./exec/all.ts";
import { imageRoutes } from "./images/all.ts";
import { networkRoutes } from "./networks/all.ts";
import { pluginRoutes } from "./plugins/all.ts";
import { secretRoutes } from "./secrets/all.ts";
import { swarmRoutes } from "./swarm/all.ts";
import { systemRoutes } from "./system/all.ts";
import { volumeRoutes } from "./volumes/all.ts";

/** Every route, each group with only its own backend. */
export function allRoutes({ backends, about }: ApiOptions): readonly Route[] {
  return [
    ...systemRoutes(backends.system, about),
    ...containerRoutes(backends),
    ...execRoutes(backends.exec),
    ...imageRoutes(backends.images),
    ...volumeRoutes(backends.volumes),
    ...networkRoutes(backends.networks),
    ...(backends.secrets ? secretRoutes(backends.secrets) : []),
    ...swarmRoutes(backends.secrets !== undefined),
    ...pluginRoutes(),
    ...buildRoutes(),
  ];
}
