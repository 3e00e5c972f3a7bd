import type { Log } from "../base/lib/log.ts";
import type { Backends } from "./backend.ts";
import type { Route } from "./route.ts";

/** What `createApi` is given. */
export interface ApiOptions {
  readonly backends: Backends;
  readonly about: {
    /** The product's version, for the Server header. */
    readonly version: string;
    /** What `docker build` takes by default: "1" the classic builder, "2" BuildKit. */
    readonly builder: "1" | "2";
    readonly experimental: boolean;
  };
  readonly log: Log;
  /** Routes of other parts (build, registry …); they win over ours of the same method and path. */
  readonly routes?: readonly Route[];
}
