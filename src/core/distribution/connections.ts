import { createHash } from "node:crypto";
import type { Clock } from "../../base/lib/clock.ts";
import { isCode, TugError } from "../../base/lib/errors.ts";
import type { Reference } from "../../base/spec/docker/reference.ts";
import type { Credentials } from "./credentials.ts";
import { type Endpoint, endpointsOf } from "./endpoints.ts";
import type { RegistryConfig } from "./registry-config.ts";
import { repositoryScope, Session } from "./session.ts";
import type { Transport } from "./transport.ts";
import type { Names } from "./transport-error.ts";

interface Deps {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly config: RegistryConfig;
  readonly names: Names;
  readonly systemAuthorities: string | undefined;
}

/** How long a session, and the choice of a registry's endpoint, is used again without asking. */
const keepFor = 60_000;
const maxKept = 64;

/** Sessions by endpoint, repository and credentials, and the order in which a registry's endpoints are tried. */
export class Connections {
  readonly #deps: Deps;
  readonly #sessions = new Map<string, { readonly session: Promise<Session>; readonly until: number }>();
  /** The endpoint that answered last, so that an insecure registry is not asked for TLS again for each layer. */
  readonly #answered = new Map<string, { readonly base: string; readonly until: number }>();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  endpoints(domain: string): Promise<readonly Endpoint[]> {
    const { config, systemAuthorities, names } = this.#deps;
    return endpointsOf(domain, { config, systemAuthorities, lookup: (host) => names.lookup(host) });
  }

  /**
   * Runs `work` with the first endpoint that serves. After a mirror any failure moves on; after the registry itself only the
   * failure to find a registry there does. Throws the last failure.
   */
  async use<T>(
    ref: Reference,
    credentials: Credentials,
    options: { readonly push: boolean; readonly signal: AbortSignal | undefined },
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    let last: unknown = new TugError("unavailable", `no endpoint for ${ref.domain}`);
    for (const endpoint of this.#order(ref.domain, await this.endpoints(ref.domain))) {
      if (options.push && endpoint.mirror) continue;
      let session: Session;
      try {
        session = await this.#session(endpoint, ref, credentials, options);
      } catch (error) {
        if (isCode(error, "cancelled")) throw error;
        last = error;
        continue;
      }
      if (!endpoint.mirror) this.#remember(ref.domain, endpoint);
      try {
        return await work(session);
      } catch (error) {
        if (!endpoint.mirror || isCode(error, "cancelled") || isCode(error, "resource-exhausted"))
          throw error;
        last = error;
      }
    }
    throw last;
  }

  /** A session that is not kept: for login. */
  open(endpoint: Endpoint, credentials: Credentials, scopes: readonly string[]): Session {
    return new Session(this.#deps, endpoint, credentials, scopes);
  }

  #order(domain: string, endpoints: readonly Endpoint[]): readonly Endpoint[] {
    const known = this.#answered.get(domain);
    if (!known || known.until < this.#deps.clock.now()) return endpoints;
    const chosen = endpoints.filter((each) => each.mirror || each.base === known.base);
    return chosen.some((each) => !each.mirror) ? chosen : endpoints;
  }

  #remember(domain: string, endpoint: Endpoint): void {
    this.#answered.delete(domain);
    this.#answered.set(domain, { base: endpoint.base, until: this.#deps.clock.now() + keepFor });
    trim(this.#answered);
  }

  async #session(
    endpoint: Endpoint,
    ref: Reference,
    credentials: Credentials,
    options: { readonly push: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<Session> {
    // A mirror never sees what the user gave for the registry.
    const own: Credentials = endpoint.mirror
      ? { username: undefined, password: undefined, identityToken: undefined, registryToken: undefined }
      : credentials;
    const actions = options.push ? "pull,push" : "pull";
    // The map outlives the request: it holds a hash instead of the secret.
    const secret = createHash("sha256").update(JSON.stringify(own)).digest("hex");
    const key = JSON.stringify([endpoint.base, endpoint.tls.verify, ref.path, actions, secret]);
    const kept = this.#sessions.get(key);
    if (kept && kept.until > this.#deps.clock.now()) return await kept.session;
    const session = new Session(this.#deps, endpoint, own, [repositoryScope(ref.path, actions)]);
    await session.ping(options.signal);
    this.#sessions.delete(key);
    this.#sessions.set(key, { session: Promise.resolve(session), until: this.#deps.clock.now() + keepFor });
    trim(this.#sessions);
    return session;
  }
}

/** Forgets the oldest entries of a map over its bound. */
function trim(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= maxKept) return;
    map.delete(key);
  }
}
