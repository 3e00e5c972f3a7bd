import type { Clock } from "../../../base/lib/clock.ts";
import { TugError } from "../../../base/lib/errors.ts";
import { Authorizer } from "../auth/authorizer.ts";
import { type Challenge, parseChallenges } from "../auth/challenge.ts";
import type { Credentials } from "../auth/credentials.ts";
import type { Endpoint } from "../endpoints/endpoints.ts";
import { readRegistryError } from "./registry-error.ts";
import type { Exchange, Transport, TransportRequest } from "./transport.ts";
import { requestPrefix } from "./transport-error.ts";

export interface SessionRequest
  extends Omit<TransportRequest, "tls" | "authorization" | "url" | "homeHeaders"> {
  /** Below the registry's base ("/v2/…"), or a whole URL the registry gave (upload locations). */
  readonly path: string;
  /** Statuses that are an answer; anything else is thrown as a `RegistryError`. */
  readonly expect: readonly number[];
  /** Scopes beside the session's own, e.g. to mount a blob from another repository. */
  readonly scopes?: readonly string[];
}

/** A conversation with one endpoint about one repository with one set of credentials; the challenge is learnt by `ping`. */
export class Session {
  readonly endpoint: Endpoint;
  readonly #deps: { readonly transport: Transport; readonly clock: Clock };
  readonly #scopes: readonly string[];
  readonly authorizer: Authorizer;
  #challenges: readonly Challenge[] = [];

  constructor(
    deps: { readonly transport: Transport; readonly clock: Clock },
    endpoint: Endpoint,
    credentials: Credentials,
    scopes: readonly string[],
  ) {
    this.#deps = deps;
    this.endpoint = endpoint;
    this.#scopes = scopes;
    this.authorizer = new Authorizer({ ...deps, endpoint, credentials });
  }

  /** What the image's repository is called here. */
  get repository(): string {
    return this.endpoint.repository;
  }

  get challenges(): readonly Challenge[] {
    return this.#challenges;
  }

  /** GET /v2/: is there a registry, and how does it want to be answered (distribution-spec, "end-1")? */
  async ping(signal: AbortSignal | undefined): Promise<void> {
    using exchange = await this.#deps.transport.send({
      method: "GET",
      url: this.#url("/v2/"),
      homeHeaders: this.endpoint.headers,
      tls: this.endpoint.tls,
      signal,
      headTimeout: this.endpoint.dialTimeout ?? 15_000,
    });
    const { status, headers } = exchange.response;
    if (status >= 500 || (status >= 300 && status < 400)) throw await readRegistryError(exchange);
    // Some registries guard or lack the root: what they say about the repository counts then.
    this.#challenges = parseChallenges(headers.get("www-authenticate") ?? "");
    if (status === 401 && this.#challenges.length === 0) throw await readRegistryError(exchange);
  }

  /** Sends a request with what the challenge asks for; a refused token is renewed once. */
  async send(request: SessionRequest): Promise<Exchange> {
    const url = this.#url(request.path);
    const home = new URL(url).origin === new URL(this.endpoint.base).origin;
    const scopes = [...this.#scopes, ...(request.scopes ?? [])];
    for (let renewed = false; ; renewed = true) {
      let authorization: string | undefined;
      if (home) {
        try {
          authorization = await this.authorizer.header(this.#challenges, scopes, request.signal);
        } catch (error) {
          // dockerd asks for tokens inside the request they are for, and its errors read so.
          if (!(error instanceof TugError) || error.code === "cancelled") throw error;
          throw new TugError(error.code, `${requestPrefix(request.method, url)}${error.message}`, {
            cause: error,
          });
        }
      }
      const exchange = await this.#deps.transport.send({
        ...request,
        url,
        tls: this.endpoint.tls,
        authorization,
        ...(home && { homeHeaders: this.endpoint.headers }),
      });
      const { status, headers } = exchange.response;
      if (request.expect.includes(status)) return exchange;
      const challenges = status === 401 && home ? parseChallenges(headers.get("www-authenticate") ?? "") : [];
      if (renewed || !this.#canRenew(challenges, authorization)) {
        using failed = exchange;
        throw await readRegistryError(failed);
      }
      exchange[Symbol.dispose]();
      this.authorizer.forget();
      this.#challenges = challenges;
    }
  }

  /** A 401 is worth a second try when it tells something new: how to authenticate at all, or that the token has ended. */
  #canRenew(challenges: readonly Challenge[], sent: string | undefined): boolean {
    if (challenges.length === 0) return false;
    if (sent === undefined) return true;
    const bearer = challenges.find((each) => each.scheme === "bearer");
    return (
      sent.startsWith("Bearer ") &&
      bearer !== undefined &&
      bearer.parameters["error"] !== "insufficient_scope"
    );
  }

  #url(path: string): string {
    if (!path.startsWith("/")) return path;
    const { base, api, namespace } = this.endpoint;
    const url = path.startsWith("/v2/") ? `${api}${path.slice("/v2".length)}` : `${base}${path}`;
    if (namespace === undefined) return url;
    return `${url}${url.includes("?") ? "&" : "?"}ns=${encodeURIComponent(namespace)}`;
  }
}

/** The scope of a repository in a token request (Docker token scope documentation). */
export function repositoryScope(path: string, actions: string): string {
  return `repository:${path}:${actions}`;
}
