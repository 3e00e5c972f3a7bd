import type { Exchange, Handler } from "../base/http/exchange.ts";
import { type ListenAddress, type Listener, listen } from "../base/http/listener.ts";
import { Router } from "../base/http/router.ts";
import { messageOf, TugError } from "../base/lib/errors.ts";
import type { ApiOptions } from "./options.ts";
import { Query } from "./query.ts";
import type { Route } from "./route.ts";
import { allRoutes } from "./routes/all.ts";
import { statusOf } from "./status.ts";
import { maxVersion, splitVersion, versionText } from "./version.ts";

export type { ApiOptions } from "./options.ts";

export interface Api {
  readonly handle: Handler;
  listen(address: ListenAddress): Listener;
  /** Every route that is served. */
  readonly routes: readonly Route[];
}

/** The Docker Engine API over `backends`. */
export function createApi(options: ApiOptions): Api {
  const { log, about } = options;
  const extra = options.routes ?? [];
  const taken = new Set(extra.map((route) => `${route.method} ${route.path}`));
  const routes = [
    ...extra,
    ...allRoutes(options).filter((route) => !taken.has(`${route.method} ${route.path}`)),
  ];
  const router = new Router<Route>();
  for (const route of routes) router.add(route.method, route.path, route);
  const headers = {
    "Api-Version": versionText(maxVersion),
    "Docker-Experimental": String(about.experimental),
    Ostype: "linux",
    Server: `Tug/${about.version} (linux)`,
  };

  const handle: Handler = async (exchange) => {
    try {
      const clean = cleanPath(exchange.path);
      if (clean !== exchange.path) return redirect(exchange, clean);
      const { version, path } = splitVersion(exchange.path);
      const match = router.find(exchange.method, path);
      if (!match || version < (match.value.since ?? 0)) throw new TugError("not-found", "page not found");
      const query = new Query(exchange.search);
      log.debug("request", { method: exchange.method, path: exchange.path });
      await match.value.handle({ exchange, params: match.params, query, version, headers });
    } catch (error) {
      refuse(exchange, error);
    }
  };

  const refuse = (exchange: Exchange, error: unknown) => {
    // The body has begun: the connection is cut, which is all that can still be said.
    if (exchange.headSent) throw error;
    const status = statusOf(error);
    if (status === 500 && !exchange.signal.aborted) {
      log.error("request failed", { method: exchange.method, path: exchange.path, error });
    }
    if (status === 304) return exchange.send(304, headers);
    const body = `${JSON.stringify({ message: messageOf(error) })}\n`;
    exchange.send(status, { ...headers, "Content-Type": "application/json" }, body);
  };

  return { handle, routes, listen: (address) => listen(address, { handler: handle, log }) };
}

/** Go's router answers a path with empty or dot segments by a redirect to the clean one. */
function cleanPath(path: string): string {
  if (!/\/(?:\.{0,2})(?:\/|$)/.test(path) || path === "/") return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const clean = `/${parts.join("/")}`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

function redirect(exchange: Exchange, path: string): void {
  const search = exchange.search === "" ? "" : `?${exchange.search}`;
  exchange.send(301, { Location: encodeURI(path) + search });
}
