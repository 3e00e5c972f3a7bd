import type { Call } from "../../call.ts";
import { post, type Route } from "../../route.ts";
import type { BuildkitDeps } from "./backend.ts";
import type { BuildkitService } from "./service.ts";

export interface BuildkitRoutes {
  /** POST /grpc and /session. */
  readonly routes: readonly Route[];
  /** POST /build of clients that have BuildKit built in (version=2, docker 18.09 to 20.10); undefined: the call is of the classic protocol. */
  build(call: Call): Promise<void> | undefined;
  /** Cancels a build by its ref; false: none of that ref is running. */
  cancel(ref: string): boolean;
}

/** BuildKit's protocol over a builder: what buildx, compose, Docker's CLIs and `tug build` speak. */
export function buildkitRoutes(deps: BuildkitDeps): BuildkitRoutes {
  // Loaded when the first client comes: HTTP/2 and the messages are nothing that the daemon's start should wait for.
  let loading: Promise<BuildkitService> | undefined;
  let loaded: BuildkitService | undefined;
  const service = async () => {
    loading ??= import("./service.ts").then((module) => new module.BuildkitService(deps));
    loaded = await loading;
    return loaded;
  };
  return {
    routes: [
      post("/grpc", async (call) => (await service()).grpc(call)),
      post("/session", async (call) => (await service()).session(call)),
    ],
    build: (call) =>
      call.query.optional("version") === "2" ? service().then((it) => it.build(call)) : undefined,
    cancel: (ref) => loaded?.cancel(ref) ?? false,
  };
}
