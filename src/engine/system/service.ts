import { abortable } from "../../base/lib/abort.ts";
import { Mutex } from "../../base/lib/mutex.ts";
import type {
  DistributionInspect,
  EventMessage,
  SystemInfo,
  SystemVersion,
} from "../../base/spec/docker/api.gen.ts";
import type { AuthConfig } from "../../base/spec/docker/auth-config.ts";
import type { SystemCheckReport } from "../../base/spec/docker/extensions.ts";
import { parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import { Filters, type WireFilters } from "../filters/filters.ts";
import { wireDescriptor, wirePlatform } from "../images/descriptor.ts";
import { checkSystem } from "./check/check.ts";
import type { SystemServiceDeps } from "./deps.ts";
import { type DiskUsage, diskUsage } from "./disk-usage.ts";
import { systemInfo } from "./info.ts";
import { systemVersion } from "./version.ts";

/** What concerns the whole daemon: /info, /version, /events, /system/df, /auth, /distribution. */
export class SystemService {
  readonly #deps: SystemServiceDeps;
  readonly #checking = new Mutex();

  constructor(deps: SystemServiceDeps) {
    this.#deps = deps;
  }

  info(): Promise<SystemInfo> {
    return systemInfo(this.#deps);
  }

  version(): Promise<SystemVersion> {
    return systemVersion(this.#deps);
  }

  events(
    options: {
      readonly since: bigint | undefined;
      readonly until: bigint | undefined;
      readonly filters: WireFilters;
    },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage> {
    return this.#deps.events.read(options, Filters.parse(options.filters), signal);
  }

  diskUsage(types: readonly string[], options: { readonly verbose: boolean }): Promise<DiskUsage> {
    return diskUsage(this.#deps, types, options);
  }

  /** One at a time: a second one would repair what the first is repairing. */
  async check(
    options: { readonly quick: boolean; readonly repair: boolean },
    signal?: AbortSignal,
  ): Promise<SystemCheckReport> {
    using _lock = await abortable(this.#checking.lock(), signal, (lock) => lock[Symbol.dispose]());
    return await checkSystem(this.#deps.check, { ...options, signal });
  }

  async login(
    credentials: AuthConfig,
  ): Promise<{ readonly Status: string; readonly IdentityToken?: string }> {
    const outcome = await this.#deps.registry.login(credentials.serveraddress ?? "", credentials);
    return {
      Status: outcome.status,
      ...(outcome.identityToken === undefined ? {} : { IdentityToken: outcome.identityToken }),
    };
  }

  async distribution(reference: string, auth: AuthConfig | undefined): Promise<DistributionInspect> {
    const ref = withDefaultTag(parseReference(reference));
    const { target, platforms } = await this.#deps.registry.describe(ref, { auth });
    return { Descriptor: wireDescriptor(target), Platforms: platforms.map(wirePlatform) };
  }
}
