import type { EventMessage, SystemInfo, SystemVersion } from "../../../base/spec/docker/api.gen.ts";
import type { AuthConfig } from "../../../base/spec/docker/auth-config.ts";
import type { SystemCheckReport } from "../../../base/spec/docker/extensions.ts";
import type { Filters } from "../../filters.ts";

export interface SystemBackend {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
  /** Events between since and until (nanoseconds since the epoch), then live ones unless `until` has passed. */
  events(
    options: {
      readonly since: bigint | undefined;
      readonly until: bigint | undefined;
      readonly filters: Filters;
    },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage>;
  diskUsage(types: readonly string[], options: { readonly verbose: boolean }): Promise<unknown>;
  /** POST /system/check: whether everything that the records name is there and whole; Tug's own. */
  check(
    options: { readonly quick: boolean; readonly repair: boolean },
    signal: AbortSignal,
  ): Promise<SystemCheckReport>;
  /** POST /auth. */
  login(credentials: AuthConfig): Promise<{ readonly Status: string; readonly IdentityToken?: string }>;
  /** GET /distribution/{name}/json. */
  distribution(reference: string, auth: AuthConfig | undefined): Promise<unknown>;
}
