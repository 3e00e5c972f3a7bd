import { invalid } from "../../../base/lib/errors.ts";
import { type ClassicBuildBackend, ClassicBuilds } from "../../build/classic.ts";
import { empty, json } from "../../call.ts";
import type { Filters } from "../../filters.ts";
import { post, type Route } from "../../route.ts";
import type { BuildkitDeps } from "./backend.ts";
import { buildkitRoutes } from "./buildkit.ts";

/** What `POST /build/prune` asks for. Sizes are bytes, 0: no bound. */
export interface BuildPruneRequest {
  readonly all: boolean;
  readonly filters: Filters;
  readonly reservedSpace: number;
  readonly maxUsedSpace: number;
  readonly minFreeSpace: number;
}

export interface BuildPruneBackend {
  prune(request: BuildPruneRequest): Promise<{ readonly ids: readonly string[]; readonly bytes: number }>;
}

export interface BuilderRoutesDeps extends BuildkitDeps {
  readonly classic: ClassicBuildBackend;
  readonly pruning: BuildPruneBackend;
}

/** Both protocols of a builder: the classic `POST /build`, and BuildKit's. */
export function builderRoutes(deps: BuilderRoutesDeps): readonly Route[] {
  const buildkit = buildkitRoutes(deps);
  const classic = new ClassicBuilds(deps.classic);
  const build = post("/build", (call) => buildkit.build(call) ?? classic.build(call));
  const cancel = cancelRoute((id) => {
    if (!buildkit.cancel(id)) classic.cancel(id);
  });
  const prune = post("/build/prune", async (call) => {
    const { query } = call;
    const { ids, bytes } = await deps.pruning.prune({
      all: query.bool("all"),
      filters: query.filters(),
      // The name of older clients.
      reservedSpace: query.integer("reserved-space") ?? query.integer("keep-storage") ?? 0,
      maxUsedSpace: query.integer("max-used-space") ?? 0,
      minFreeSpace: query.integer("min-free-space") ?? 0,
    });
    json(call, 200, { CachesDeleted: ids, SpaceReclaimed: bytes });
  });
  return [build, cancel, prune, ...buildkit.routes];
}

/** POST /build/cancel, for whichever protocol: a build that is not running has ended. */
export function cancelRoute(cancel: (id: string) => void): Route {
  return post("/build/cancel", async (call) => {
    const id = call.query.optional("id");
    if (id === undefined) throw invalid("build ID not provided");
    cancel(id);
    empty(call, 200);
  });
}
