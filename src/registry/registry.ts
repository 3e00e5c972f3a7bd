import type { Handler } from "../base/http/exchange.ts";
import type { Clock } from "../base/lib/clock.ts";
import type { Log } from "../base/lib/log.ts";
import { KeyedMutex } from "../base/lib/mutex.ts";
import type { Authenticator } from "./auth/access.ts";
import { noPullThrough } from "./cache/pull-through.ts";
import { silentNotifier } from "./events/notifier.ts";
import { RegistryMetrics } from "./metrics.ts";
import type { Parts, RegistrySettings } from "./parts.ts";
import { type QuotaRule, quotas } from "./quotas.ts";
import { openRecords } from "./records/records.ts";
import { registryHandler } from "./server.ts";
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
 *     const registry = openRegistry({ root, storage, access, settings, ... });
 *     listen(address, { handler: registry.handler, log });
 */
export interface Registry extends AsyncDisposable {
  readonly handler: Handler;
  readonly parts: Parts;
}

export interface RegistryDeps {
  /** Directory of the records. */
  readonly root: string;
  readonly storage: BlobStorage;
  readonly access: Authenticator;
  readonly quotas: readonly QuotaRule[];
  readonly settings: RegistrySettings;
  readonly clock: Clock;
  readonly log: Log;
}

export function openRegistry(deps: RegistryDeps): Registry {
  const { storage, clock, log } = deps;
  const records = openRecords(deps);
  const uploads = new Uploads({ records, storage, clock });
  const parts: Parts = {
    records,
    storage,
    uploads,
    locks: new KeyedMutex(),
    access: deps.access,
    quotas: quotas(records, deps.quotas),
    notifier: silentNotifier,
    cache: noPullThrough,
    metrics: new RegistryMetrics(),
    clock,
    log,
    settings: deps.settings,
  };
  return {
    handler: registryHandler(parts),
    parts,
    async [Symbol.asyncDispose]() {
      await uploads[Symbol.asyncDispose]();
      records[Symbol.dispose]();
    },
  };
}
