import type { Exchange, Handler } from "../base/http/exchange.ts";
import type { ReplyHeaders } from "../base/http/head.ts";
import { Router } from "../base/http/router.ts";
import { codeOf } from "../base/lib/errors.ts";
import type { Identity } from "./auth/access.ts";
import { parseRepositoryName } from "./names.ts";
import type { Parts } from "./parts.ts";
import { baseRoutes } from "./routes/base.ts";
import { blobRoutes } from "./routes/blobs.ts";
import { discoveryRoutes } from "./routes/discovery.ts";
import { manifestRoutes } from "./routes/manifests.ts";
import type { Call, Route } from "./routes/route.ts";
import { uploadRoutes } from "./routes/uploads.ts";
import { SpecError, toSpecError } from "./spec-error.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** Answers every request: finds its route, asks who sends it and whether they may, and puts failures into the spec's form. */
export function registryHandler(parts: Parts, more: readonly Route[] = []): Handler {
  const router = new Router<Route>();
  const routes = [
    ...baseRoutes(parts),
    ...uploadRoutes(parts),
    ...blobRoutes(parts),
    ...manifestRoutes(parts),
    ...discoveryRoutes(parts),
    ...more,
  ];
  for (const route of routes) router.add(route.method, route.pattern, route);
  return async (exchange) => {
    const began = performance.now();
    const watched = watching(exchange);
    let label = "none";
    try {
      const match = router.find(exchange.method, exchange.path);
      if (!match) throw noRoute(router, exchange);
      label = match.value.name;
      await serve(parts, match.value, { exchange: watched.exchange, params: match.params });
    } catch (error) {
      failed(parts, watched.exchange, error);
    } finally {
      const seconds = (performance.now() - began) / 1000;
      parts.metrics.answered(
        label,
        methods.includes(exchange.method) ? exchange.method : "other",
        watched.status(),
        seconds,
      );
      parts.log.debug("request", {
        method: exchange.method,
        path: exchange.path,
        status: watched.status(),
        seconds,
      });
    }
  };
}

async function serve(
  parts: Parts,
  route: Route,
  request: { readonly exchange: Exchange; readonly params: Readonly<Record<string, string>> },
): Promise<void> {
  let { exchange } = request;
  const query = new URLSearchParams(exchange.search);
  let { params } = request;
  const namespace = query.get("ns");
  if (namespace !== null && route.action === "pull") {
    const name = parts.cache.inNamespace(parseRepositoryName(params["name"] ?? ""), namespace);
    if (name !== undefined) {
      params = { ...params, name };
      exchange = replying(exchange, (_, headers) => ({ ...headers, "OCI-Namespace": namespace }));
    }
  }
  const identity = route.identifies === false ? nobodyInParticular : await parts.access.identify(exchange);
  const call: Call = { exchange, params, query, identity };
  if (route.action !== undefined) authorize(parts, route.action, call);
  await route.run(call);
}

/** Where no right counts, because the route looks at credentials itself. */
const nobodyInParticular: Identity = {
  name: undefined,
  proven: false,
  mayList: false,
  may: () => false,
  sees: () => false,
};

function authorize(parts: Parts, action: NonNullable<Route["action"]>, call: Call): void {
  const { settings } = parts;
  const repository = parseRepositoryName(call.params["name"] ?? "");
  if (!call.identity.may(action, repository)) {
    const wanted = action === "push" ? "pull,push" : action;
    const challenge = parts.access.challenge(
      call.exchange,
      `repository:${repository}:${wanted}`,
      call.identity.proven ? "insufficient_scope" : undefined,
    );
    // A token may have been for something else: its holder can get another one. A password is the same each time.
    if (!call.identity.proven || challenge.startsWith("Bearer")) {
      throw new SpecError(
        "UNAUTHORIZED",
        "authentication required",
        { type: "repository", name: repository, action },
        { headers: { "WWW-Authenticate": challenge } },
      );
    }
    throw new SpecError("DENIED", "requested access to the resource is denied", { name: repository, action });
  }
  if (action === "pull") return;
  if (settings.readOnly) throw new SpecError("UNSUPPORTED", "the registry is read-only at the moment");
  if (action === "delete" && !settings.deleteEnabled) {
    throw new SpecError("UNSUPPORTED", "deleting is switched off in this registry");
  }
  if (action === "push" && parts.cache.mirrors(repository)) {
    throw new SpecError("UNSUPPORTED", "the repository is a cache of another registry: push to that one");
  }
}

function noRoute(router: Router<Route>, exchange: Exchange): SpecError {
  const allowed = methods.filter((method) => router.find(method, exchange.path));
  if (allowed.length === 0) return new SpecError("NAME_UNKNOWN", "page not found");
  return new SpecError("UNSUPPORTED", "the operation is unsupported", undefined, {
    headers: { Allow: allowed.join(", ") },
  });
}

function failed(parts: Parts, exchange: Exchange, error: unknown): void {
  const told = toSpecError(error);
  const code = codeOf(error);
  if (told.status >= 500 && code !== "cancelled") {
    parts.log.error("request failed", { method: exchange.method, path: exchange.path, error, code });
  }
  // What was begun cannot be taken back: the listener cuts the connection.
  if (exchange.headSent) throw error;
  exchange.send(
    told.status,
    { "Content-Type": "application/json", ...versionHeader, ...told.headers },
    told.body(),
  );
}

const versionHeader = { "Docker-Distribution-Api-Version": "registry/2.0" };

/** The exchange, with its status kept and the version header on every reply. */
function watching(exchange: Exchange): { readonly exchange: Exchange; status(): number } {
  let status = 0;
  const watched = replying(exchange, (code, headers) => {
    status = code;
    return { ...headers, ...versionHeader };
  });
  return { exchange: watched, status: () => status };
}

/** The exchange, with `edit` looking at every reply's head. */
function replying(
  exchange: Exchange,
  edit: (status: number, headers: ReplyHeaders) => ReplyHeaders,
): Exchange {
  return {
    method: exchange.method,
    path: exchange.path,
    search: exchange.search,
    headers: exchange.headers,
    body: exchange.body,
    get signal() {
      return exchange.signal;
    },
    get headSent() {
      return exchange.headSent;
    },
    send: (status, headers, body) => exchange.send(status, edit(status, headers), body),
    stream: (status, headers) => exchange.stream(status, edit(status, headers)),
    hijack: (status, headers) => exchange.hijack(status, edit(status, headers)),
  };
}
