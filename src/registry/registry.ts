import type { Handler } from "../base/http/exchange.ts";
import type { Clock } from "../base/lib/clock.ts";
import type { Log } from "../base/lib/log.ts";
import { KeyedMutex } from "../base/lib/mutex.ts";
import type { Authenticator } from "./auth/access.ts";
import { Cache, type CachedRegistry } from "./cache/cache.ts";
import { type WebhookEndpoint, Webhooks } from "./events/webhooks.ts";
import { GarbageCollector, type GarbagePolicy } from "./garbage/collector.ts";
import { RegistryMetrics } from "./metrics.ts";
import { pageRoutes } from "./pages/pages.ts";
import type { Parts, RegistrySettings } from "./parts.ts";
import { type QuotaRule, quotas } from "./quotas.ts";
import { bindStorage, openRecords } from "./records/records.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import type { Call } from "./routes/route.ts";
import { searchRoutes } from "./routes/search.ts";
import { type TokenIssuer, tokenRoutes } from "./routes/token.ts";
import { registryHandler } from "./server.ts";
import { SpecError } from "./spec-error.ts";
import type { BlobStorage } from "./storage/storage.ts";
import { Uploads } from "./uploads/uploads.ts";

/**
 * The registry: the server side of the OCI distribution spec v1.1.
 *
 * Three things make it up. *Storage* holds bytes by digest and knows nothing else. *Records* (SQLite) say which repository holds which
 * blobs, manifests and tags; they are the truth, so nothing ever walks storage to answer a request or to start. *Uploads* are sessions
 * that live through lost connections and processes. Bytes are durable before the record that names them, and every blob has a lock that
 * whoever makes or removes it holds: garbage collection runs beside pushes.
 *
 *     await using registry = openRegistry({ root, storage, access, settings, ... });
 *     listen(address, { handler: registry.handler, log });
 *     await registry.collector.collect({ dryRun: false, orphans: false });
 */
export interface Registry extends AsyncDisposable {
  readonly handler: Handler;
  /** Serves /metrics and nothing else, to whoever asks. */
  readonly metricsHandler: Handler;
  readonly collector: GarbageCollector;
}

export interface RegistryDeps {
  /** Directory of the records. */
  readonly root: string;
  readonly storage: BlobStorage;
  readonly access: Authenticator;
  /** Gives out tokens at /token. */
  readonly issuer?: TokenIssuer | undefined;
  readonly quotas: readonly QuotaRule[];
  readonly cached: readonly CachedRegistry[];
  readonly webhooks: readonly WebhookEndpoint[];
  /** Where clients reach the registry, for the URLs in events. */
  readonly origin?: string | undefined;
  readonly garbage: GarbagePolicy;
  readonly settings: RegistrySettings;
  readonly clock: Clock;
  readonly log: Log;
}

/** Events one webhook may have waiting. */
const webhookQueue = 10_000;
const webhookRetryMs = 1000;

export function openRegistry(deps: RegistryDeps): Registry {
  const { storage, clock, log } = deps;
  const records = openRecords(deps);
  bindStorage(records, storage.identity);
  const uploads = new Uploads({ records, storage, clock });
  const locks = new KeyedMutex();
  const metrics = new RegistryMetrics();
  const cache = new Cache({ registries: deps.cached, records, storage, locks, metrics, clock, log });
  const notifier = new Webhooks({
    records,
    endpoints: deps.webhooks,
    origin: deps.origin,
    metrics,
    clock,
    log,
    queueLimit: webhookQueue,
    retryMs: webhookRetryMs,
  });
  const parts: Parts = {
    records,
    storage,
    uploads,
    locks,
    access: deps.access,
    quotas: quotas(records, deps.quotas),
    notifier,
    cache,
    metrics,
    clock,
    log,
    settings: deps.settings,
  };
  const collector = new GarbageCollector({
    records,
    storage,
    uploads,
    locks,
    policy: deps.garbage,
    metrics,
    log,
  });
  const render = () =>
    metrics.render(records, { uploads_active: uploads.active, webhook_events_waiting: notifier.waiting });
  const more = [
    ...(deps.issuer ? tokenRoutes(deps.issuer) : []),
    ...(deps.settings.pages ? [...pageRoutes(parts), ...searchRoutes(parts)] : []),
    ...(deps.settings.metrics
      ? metricsRoutes({
          render,
          admit: (call) => onlyProven(deps.access, call),
        })
      : []),
  ];
  return {
    handler: registryHandler(parts, more),
    metricsHandler: async (exchange) => {
      const found = exchange.path === "/metrics" && exchange.method === "GET";
      exchange.send(
        found ? 200 : 404,
        { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
        found ? render() : "",
      );
    },
    collector,
    async [Symbol.asyncDispose]() {
      await cache[Symbol.asyncDispose]();
      await notifier[Symbol.asyncDispose]();
      await uploads[Symbol.asyncDispose]();
      records[Symbol.dispose]();
    },
  };
}

/** What is not about a repository is for whoever has shown who they are, where that counts. */
function onlyProven(access: Authenticator, call: Call): void {
  if (call.identity.proven || !access.guardsRoot) return;
  throw new SpecError("UNAUTHORIZED", "authentication required", undefined, {
    headers: { "WWW-Authenticate": access.browserChallenge ?? access.challenge(call.exchange, undefined) },
  });
}
