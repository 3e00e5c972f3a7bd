import { abortable } from "../../../base/lib/abort.ts";
import type { Clock } from "../../../base/lib/clock.ts";
import { TugError } from "../../../base/lib/errors.ts";
import type { Endpoint } from "../endpoints/endpoints.ts";
import { readBody } from "../http/body.ts";
import { readRegistryError } from "../http/registry-error.ts";
import type { Exchange, Transport } from "../http/transport.ts";
import { isMetadataAddress } from "../registry-config.ts";
import type { Challenge } from "./challenge.ts";
import { basicHeader, type Credentials } from "./credentials.ts";

/** A token server's reply (Docker token authentication specification; OAuth 2.0, RFC 6749 5.1). */
export interface TokenReply {
  readonly token: string;
  readonly expiresAt: number;
  readonly refreshToken: string | undefined;
}

interface Deps {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly endpoint: Endpoint;
  readonly credentials: Credentials;
}

const replyLimit = 1024 * 1024;
/** A token is given up this long before it ends, for the request it is sent with takes time. */
const margin = 5_000;

/** Answers the challenges of one registry for one set of credentials; tokens are kept per set of scopes until they end. */
export class Authorizer {
  readonly #deps: Deps;
  readonly #tokens = new Map<string, Promise<TokenReply>>();
  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /**
   * The Authorization header for a request with these scopes; undefined when nothing is asked for. Throws unauthorized when
   * the registry wants what the caller did not bring.
   */
  async header(
    challenges: readonly Challenge[],
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const { credentials } = this.#deps;
    if (credentials.registryToken !== undefined) return `Bearer ${credentials.registryToken}`;
    const bearer = challenges.find((each) => each.scheme === "bearer");
    if (bearer) return `Bearer ${(await this.#token(bearer, scopes, signal)).token}`;
    if (!challenges.some((each) => each.scheme === "basic")) return undefined;
    const basic = basicHeader(credentials);
    if (basic === undefined) throw new TugError("unauthorized", "no basic auth credentials");
    return basic;
  }

  /** Uses a token that was fetched apart. */
  keep(challenge: Challenge, scopes: readonly string[], reply: TokenReply): void {
    this.#tokens.set(keyOf(challenge, scopes), Promise.resolve(reply));
  }

  /** Forgets a token the registry refused. */
  forget(): void {
    this.#tokens.clear();
  }

  async #token(
    challenge: Challenge,
    scopes: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<TokenReply> {
    const key = keyOf(challenge, scopes);
    const kept = this.#tokens.get(key);
    if (kept) {
      const reply = await kept.catch(() => undefined);
      if (reply && reply.expiresAt - margin > this.#deps.clock.now()) return reply;
      if (this.#tokens.get(key) === kept) this.#tokens.delete(key);
    }
    const again = this.#tokens.get(key);
    if (again) return await abortable(again, signal);
    // Shared by whoever asks meanwhile, so nobody's abort ends it for the others.
    const fetching = this.fetchToken(challenge, scopes, { offline: false, signal: undefined });
    this.#tokens.set(key, fetching);
    fetching.catch(() => {
      if (this.#tokens.get(key) === fetching) this.#tokens.delete(key);
    });
    return await abortable(fetching, signal);
  }

  /** Asks the challenge's realm for a token; `offline` asks for a refresh token as well (login). */
  async fetchToken(
    challenge: Challenge,
    scopes: readonly string[],
    options: { readonly offline: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<TokenReply> {
    const realm = this.#realm(challenge);
    const { credentials } = this.#deps;
    const service = challenge.parameters["service"];
    using exchange =
      credentials.identityToken === undefined
        ? await this.#get(realm, service, scopes, options)
        : await this.#post(realm, service, scopes, credentials.identityToken, options.signal);
    if (exchange.response.status !== 200) throw await readRegistryError(exchange);
    return this.#parse(await readBody(exchange, replyLimit));
  }

  /** The token server's address. Credentials never go there in clear when the registry itself is spoken to over TLS. */
  #realm(challenge: Challenge): URL {
    const text = challenge.parameters["realm"];
    if (text === undefined || text === "")
      throw new TugError("unavailable", "no realm specified for token auth challenge");
    if (!URL.canParse(text)) throw new TugError("unavailable", `invalid token auth challenge realm: ${text}`);
    const realm = new URL(text);
    const plain = realm.protocol === "http:";
    if (!plain && realm.protocol !== "https:") {
      throw new TugError("unavailable", `invalid token auth challenge realm: ${text}`);
    }
    const { credentials, endpoint } = this.#deps;
    if (isMetadataAddress(realm) && !isMetadataAddress(new URL(endpoint.base))) {
      throw new TugError("unavailable", `refused to ask the link-local address ${realm.host} for a token`);
    }
    const secret = credentials.username !== undefined || credentials.identityToken !== undefined;
    if (plain && secret && endpoint.tls.verify) {
      throw new TugError("unauthorized", `refused to send credentials to ${realm.origin} without TLS`);
    }
    return realm;
  }

  async #get(
    realm: URL,
    service: string | undefined,
    scopes: readonly string[],
    options: { readonly offline: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<Exchange> {
    const { credentials, transport, endpoint } = this.#deps;
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.append("service", service);
    for (const scope of scopes) url.searchParams.append("scope", scope);
    if (options.offline) {
      url.searchParams.append("offline_token", "true");
      url.searchParams.append("client_id", "docker");
    }
    if (credentials.username !== undefined) url.searchParams.append("account", credentials.username);
    return await transport.send({
      method: "GET",
      url: url.href,
      authorization: basicHeader(credentials),
      tls: { ...endpoint.tls, client: undefined },
      signal: options.signal,
    });
  }

  async #post(
    realm: URL,
    service: string | undefined,
    scopes: readonly string[],
    refreshToken: string,
    signal: AbortSignal | undefined,
  ): Promise<Exchange> {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: refreshToken,
      client_id: "docker",
    });
    if (service !== undefined) form.append("service", service);
    if (scopes.length > 0) form.append("scope", scopes.join(" "));
    return await this.#deps.transport.send({
      method: "POST",
      url: realm.href,
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: () => form.toString(),
      secretBody: true,
      tls: { ...this.#deps.endpoint.tls, client: undefined },
      signal,
    });
  }

  #parse(bytes: Uint8Array): TokenReply {
    const bad = (cause?: unknown) =>
      new TugError("unavailable", "authorization server did not include a token in the response", { cause });
    let reply: unknown;
    try {
      reply = JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      throw bad(error);
    }
    if (typeof reply !== "object" || reply === null) throw bad();
    const members = reply as Readonly<Record<string, unknown>>;
    const text = (key: string) =>
      typeof members[key] === "string" && members[key] !== "" ? members[key] : undefined;
    const token = text("access_token") ?? text("token");
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) throw bad();
    const seconds = typeof members["expires_in"] === "number" ? members["expires_in"] : 60;
    return {
      token,
      // Shorter than a minute is not believed (the token specification's lower bound); our clock counts from now.
      expiresAt: this.#deps.clock.now() + Math.max(60, Math.min(seconds, 86_400)) * 1000,
      refreshToken: text("refresh_token"),
    };
  }
}

function keyOf(challenge: Challenge, scopes: readonly string[]): string {
  return JSON.stringify([challenge.parameters["realm"], challenge.parameters["service"], scopes]);
}
