import type { Exchange } from "../../base/http/exchange.ts";
import type { Clock } from "../../base/lib/clock.ts";
import { SpecError } from "../spec-error.ts";
import { type Authenticator, basicChallenge, type Identity } from "./access.ts";
import { claimedIdentity, claimsProblem } from "./claims.ts";
import type { Htpasswd } from "./htpasswd.ts";
import { type TokenKey, verifyOwnToken, verifyToken } from "./jwt.ts";
import { allows, type Rights } from "./rights.ts";

/** Name and password of a Basic header (RFC 7617), or undefined. */
export function basicCredentials(
  exchange: Pick<Exchange, "headers">,
): { readonly user: string; readonly password: string } | undefined {
  const match = /^basic ([A-Za-z0-9+/=]+)$/i.exec(exchange.headers.get("authorization") ?? "");
  const text = Buffer.from(match?.[1] ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function bearerToken(exchange: Pick<Exchange, "headers">): string | undefined {
  return /^bearer (\S+)$/i.exec(exchange.headers.get("authorization") ?? "")?.[1];
}

/** What rights give a person; undefined is nobody in particular. */
export function identityOf(rights: Rights, name: string | undefined): Identity {
  const may: Identity["may"] = (action, repository) => allows(rights, name, action, repository);
  return {
    name,
    proven: name !== undefined,
    mayList: true,
    may,
    sees: (repository) => may("pull", repository),
  };
}

export interface PasswordAccess {
  readonly passwords: Htpasswd;
  readonly rights: Rights;
}

/** Checks a name and password; throws UNAUTHORIZED with the challenge. */
export async function logIn(
  access: PasswordAccess,
  credentials: { readonly user: string; readonly password: string },
): Promise<Identity> {
  if (await access.passwords.verify(credentials.user, credentials.password)) {
    return identityOf(access.rights, credentials.user);
  }
  throw new SpecError("UNAUTHORIZED", "incorrect username or password", undefined, {
    headers: { "WWW-Authenticate": basicChallenge },
  });
}

/** Names and passwords with every request. */
export function basicAuthenticator(access: PasswordAccess): Authenticator {
  return {
    guardsRoot: true,
    visitors: false,
    browserChallenge: basicChallenge,
    challenge: () => basicChallenge,
    async identify(exchange) {
      const credentials = basicCredentials(exchange);
      return credentials ? await logIn(access, credentials) : identityOf(access.rights, undefined);
    },
  };
}

/** What a challenge says of where tokens come from. */
interface TokenSource {
  realm(exchange: Exchange): string;
  readonly service: string;
}

function bearerChallenge(source: TokenSource): Authenticator["challenge"] {
  const quoted = (text: string) => `"${text.replace(/["\\\r\n]/g, "")}"`;
  return (exchange, scope, failure) =>
    [
      `Bearer realm=${quoted(source.realm(exchange))}`,
      `service=${quoted(source.service)}`,
      ...(scope === undefined ? [] : [`scope=${quoted(scope)}`]),
      ...(failure === undefined ? [] : [`error="${failure}"`]),
    ].join(",");
}

/**
 * Names and passwords, and tokens for them that the registry gives out at /token. Clients that were offered Basic never pull without a
 * password; with tokens, whoever has none gets one that grants what everybody may.
 */
export function issuingAuthenticator(
  access: PasswordAccess,
  source: TokenSource & { readonly secret: Uint8Array; readonly clock: Clock },
): Authenticator {
  const challenge = bearerChallenge(source);
  return {
    guardsRoot: true,
    visitors: true,
    browserChallenge: basicChallenge,
    challenge,
    async identify(exchange) {
      const credentials = basicCredentials(exchange);
      if (credentials) return await logIn(access, credentials);
      const token = bearerToken(exchange);
      if (token === undefined) return identityOf(access.rights, undefined);
      const claims = verifyOwnToken(token, source.secret);
      const expected = { issuer: source.service, service: source.service, nowMs: source.clock.now() };
      const problem = claims ? claimsProblem(claims, expected) : "the token is not from here";
      if (!claims || problem !== undefined)
        throw badToken(problem, challenge(exchange, undefined, "invalid_token"));
      const identity = claimedIdentity(claims);
      // Lists show what its owner may pull, whatever repository the token was asked for.
      return {
        ...identity,
        mayList: true,
        sees: (name) => allows(access.rights, identity.name, "pull", name),
      };
    },
  };
}

/** Tokens of a server of one's own, checked with its public keys (distribution, "Token authentication"). */
export function bearerAuthenticator(deps: {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly keys: readonly TokenKey[];
  readonly clock: Clock;
}): Authenticator {
  const challenge = bearerChallenge({ realm: () => deps.realm, service: deps.service });
  const nobody: Identity = {
    name: undefined,
    proven: false,
    mayList: false,
    may: () => false,
    sees: () => false,
  };
  return {
    guardsRoot: true,
    visitors: false,
    browserChallenge: undefined,
    challenge,
    async identify(exchange) {
      const token = bearerToken(exchange);
      if (token === undefined) return nobody;
      const claims = verifyToken(token, deps.keys);
      const expected = { issuer: deps.issuer, service: deps.service, nowMs: deps.clock.now() };
      const problem = claims ? claimsProblem(claims, expected) : "no known key has signed the token";
      if (!claims || problem !== undefined)
        throw badToken(problem, challenge(exchange, undefined, "invalid_token"));
      return claimedIdentity(claims);
    },
  };
}

function badToken(problem: string | undefined, challenge: string): SpecError {
  return new SpecError("UNAUTHORIZED", `authentication required: ${problem}`, undefined, {
    headers: { "WWW-Authenticate": challenge },
  });
}
