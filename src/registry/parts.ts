import type { Clock } from "../base/lib/clock.ts";
import type { Log } from "../base/lib/log.ts";
import type { KeyedMutex } from "../base/lib/mutex.ts";
import type { Authenticator } from "./auth/access.ts";
import type { PullThrough } from "./cache/pull-through.ts";
import type { Notifier } from "./events/notifier.ts";
import type { RegistryMetrics } from "./metrics.ts";
import type { Quotas } from "./quotas.ts";
import type { Records } from "./records/records.ts";
import type { BlobStorage } from "./storage/storage.ts";
import type { Uploads } from "./uploads/uploads.ts";

/** What the routes work with. */
export interface Parts {
  readonly records: Records;
  readonly storage: BlobStorage;
  /** Held by whoever makes a blob exist or takes it away, by digest. */
  readonly locks: KeyedMutex;
  readonly uploads: Uploads;
  readonly access: Authenticator;
  readonly quotas: Quotas;
  readonly notifier: Notifier;
  readonly cache: PullThrough;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: RegistrySettings;
}

export interface RegistrySettings {
  readonly readOnly: boolean;
  readonly deleteEnabled: boolean;
  /** Milliseconds a blob that nothing names is kept. */
  readonly graceMs: number;
  /** Milliseconds without a byte after which a client is given up. */
  readonly stallMs: number;
  /** The pages and search are served. */
  readonly pages: boolean;
  /** /metrics is served beside the registry. */
  readonly metrics: boolean;
}
