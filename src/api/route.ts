import type { Call } from "./call.ts";
import type { ApiVersion } from "./version.ts";

/** One line of the API: method and path as the API document writes them (`{name...}`: may contain slashes). */
export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  readonly path: string;
  /** First version that has it. */
  readonly since?: ApiVersion;
  handle(call: Call): Promise<void>;
}

export const get = (path: string, handle: Route["handle"]): Route => ({ method: "GET", path, handle });
export const head = (path: string, handle: Route["handle"]): Route => ({ method: "HEAD", path, handle });
export const post = (path: string, handle: Route["handle"]): Route => ({ method: "POST", path, handle });
export const put = (path: string, handle: Route["handle"]): Route => ({ method: "PUT", path, handle });
export const remove = (path: string, handle: Route["handle"]): Route => ({ method: "DELETE", path, handle });
