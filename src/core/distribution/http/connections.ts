import { createHash } from "node:crypto";
import type { Clock } from "../../../base/lib/clock.ts";
import { isCode, messageOf, TugError } from "../../../base/lib/errors.ts";
import type { Reference } from "../../../base/spec/docker/reference.ts";
import { type Credentials, credentialsOf } from "../auth/credentials.ts";
import type { RemoteOptions, Trial } from "../distribution.ts";
import { type Endpoint, endpointsOf, homeEndpoints } from "../endpoints/endpoints.ts";
import type { RegistryConfig } from "../registry-config.ts";
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
/** How long a mirror that could not serve is passed over. */
const restFor = 30_000;

/** What a registry is wanted for. */
export interface Use extends Pick<RemoteOptions, "onTrial"> {
  readonly push: boolean;
  readonly signal: AbortSignal | undefined;
  /** A blob, by its digest, whatever the image was asked for with. */
  readonly blob?: boolean;
  /** The same in words, for who watches. */
  readonly about?: string;
}

interface Candidate {
  readonly endpoint: Endpoint;
  readonly skip: string | undefined;
}

/** Sessions by endpoint, repository and credentials, and the order in which a registry's endpoints are tried. */
export class Connections {
  readonly #deps: Deps;
  readonly #sessions = new Map<string, { readonly session: Promise<Session>; readonly until: number }>();
  /** The endpoint that answered last, so that an insecure registry is not asked for TLS again for each layer. */
  readonly #answered = new Map<string, { readonly base: string; readonly until: number }>();
  /** Mirrors that could not serve. */
  readonly #down = new Map<string, { readonly until: number; readonly reason: string }>();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** The registry itself, past every mirror: for login and search. */
  homes(domain: string): Promise<readonly Endpoint[]> {
    return homeEndpoints(domain, this.#parts());
  }

  /**
   * Runs `work` with the first endpoint that serves. After a mirror any failure moves on; after the registry itself only the
   * failure to find a registry there does. Throws the last failure.
   */
  async use<T>(
    ref: Reference,
    credentials: Credentials,
    options: Use,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    let last: unknown = new TugError("unavailable", `no endpoint for ${ref.domain}`);
    const tell = (endpoint: Endpoint, outcome: Trial["outcome"], detail: string, since?: number) =>
      options.onTrial?.({
        endpoint: endpoint.base,
        repository: endpoint.repository,
        source: endpoint.source,
        asked: options.about ?? "",
        outcome,
        detail,
        milliseconds: since === undefined ? 0 : Math.round(performance.now() - since),
      });
    for (const { endpoint, skip } of this.#order(ref, options, await endpointsOf(ref, this.#parts()))) {
      if (skip !== undefined) {
        tell(endpoint, "skipped", skip);
        continue;
      }
      const began = performance.now();
      let session: Session;
      try {
        session = await this.#session(endpoint, credentials, options);
      } catch (error) {
        if (isCode(error, "cancelled")) throw error;
        tell(endpoint, "failed", messageOf(error), began);
        this.#failed(endpoint, error);
        last = error;
        continue;
      }
      if (!endpoint.mirror) this.#remember(ref.domain, endpoint, options);
      try {
        const result = await work(session);
        tell(endpoint, "answered", "", began);
        return result;
      } catch (error) {
        if (!isCode(error, "cancelled")) tell(endpoint, "failed", messageOf(error), began);
        if (!endpoint.mirror || isCode(error, "cancelled") || isCode(error, "resource-exhausted"))
          throw error;
        this.#failed(endpoint, error);
        last = error;
      }
    }
    throw last;
  }

  /** A session that is not kept: for login. */
  open(endpoint: Endpoint, credentials: Credentials, scopes: readonly string[]): Session {
    return new Session(this.#deps, endpoint, credentials, scopes);
  }

  #parts() {
    const { config, systemAuthorities, names } = this.#deps;
    return { config, systemAuthorities, lookup: (host: string) => names.lookup(host) };
  }

  /** All endpoints in their order, each with the reason for which it is left out, if there is one. */
  #order(ref: Reference, options: Use, endpoints: readonly Endpoint[]): readonly Candidate[] {
    const known = this.#answered.get(answeredKey(ref.domain, options));
    const fresh = known && known.until >= this.#deps.clock.now() ? known.base : undefined;
    const settled = endpoints.some((each) => !each.mirror && each.base === fresh);
    const pushTo = endpoints.find((each) => each.can.push);
    const found = endpoints.map((endpoint) => {
      let skip = unfit(endpoint, ref, options);
      if (!skip && settled && !endpoint.mirror && endpoint.base !== fresh) skip = `${fresh} answered before`;
      if (!skip && options.push && pushTo && hostOf(endpoint) !== hostOf(pushTo)) {
        skip = `pushes go to ${pushTo.base} only`;
      }
      return { endpoint, skip };
    });
    // One that has just failed is left in peace for a while, as long as there is another.
    const rested = found.map((each) => ({ ...each, skip: each.skip ?? this.#resting(each.endpoint) }));
    return rested.some((each) => each.skip === undefined) ? rested : found;
  }

  #resting(endpoint: Endpoint): string | undefined {
    const down = this.#down.get(endpoint.base);
    if (!endpoint.mirror || !down || down.until < this.#deps.clock.now()) return undefined;
    return `failed less than ${restFor / 1000} seconds ago: ${down.reason}`;
  }

  /** A mirror that cannot serve is not waited for again with each blob; what it merely lacks says nothing about the next. */
  #failed(endpoint: Endpoint, error: unknown): void {
    if (!endpoint.mirror || !isCode(error, "unavailable")) return;
    this.#down.delete(endpoint.base);
    this.#down.set(endpoint.base, { until: this.#deps.clock.now() + restFor, reason: messageOf(error) });
    trim(this.#down);
  }

  #remember(domain: string, endpoint: Endpoint, options: Use): void {
    const key = answeredKey(domain, options);
    this.#answered.delete(key);
    this.#answered.set(key, { base: endpoint.base, until: this.#deps.clock.now() + keepFor });
    trim(this.#answered);
  }

  async #session(endpoint: Endpoint, credentials: Credentials, options: Use): Promise<Session> {
    // Nobody else sees what the user gave for the registry.
    const own = endpoint.home ? credentials : credentialsOf(undefined);
    const actions = options.push ? "pull,push" : "pull";
    // The map outlives the request: it holds a hash instead of the secret.
    const secret = createHash("sha256").update(JSON.stringify(own)).digest("hex");
    const { base, api, tls, repository, headers } = endpoint;
    // Certificates that were exchanged begin another session.
    const certificates = [...tls.authorities, tls.client?.certificate ?? "", tls.client?.key ?? ""];
    const prints = certificates.map((each) => String(Bun.hash(each)));
    const key = JSON.stringify([base, api, tls.verify, prints, repository, actions, secret, headers]);
    const kept = this.#sessions.get(key);
    if (kept && kept.until > this.#deps.clock.now()) return await kept.session;
    const session = new Session(this.#deps, endpoint, own, [repositoryScope(endpoint.repository, actions)]);
    await session.ping(options.signal);
    this.#sessions.delete(key);
    this.#sessions.set(key, { session: Promise.resolve(session), until: this.#deps.clock.now() + keepFor });
    trim(this.#sessions);
    return session;
  }
}

function unfit(endpoint: Endpoint, ref: Reference, options: Use): string | undefined {
  const { can, use } = endpoint;
  if (options.push) return can.push ? undefined : "takes no pushes";
  const digest = ref.digest !== undefined;
  if (use === "digest-only" && !digest) return "is for images asked for by digest only";
  if (use === "tag-only" && digest) return "is for images asked for by tag only";
  if (digest || options.blob) return can.pull ? undefined : "lacks the capability pull";
  return can.resolve ? undefined : "lacks the capability resolve";
}

function hostOf(endpoint: Endpoint): string {
  return new URL(endpoint.base).host;
}

function answeredKey(domain: string, options: Use): string {
  return `${options.push ? "push" : "pull"} ${domain}`;
}

/** Forgets the oldest entries of a map over its bound. */
function trim(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= maxKept) return;
    map.delete(key);
  }
}
