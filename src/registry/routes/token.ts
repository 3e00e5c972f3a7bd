import type { Clock } from "../../base/lib/clock.ts";
import type { Action, Identity } from "../auth/access.ts";
import { basicCredentials, identityOf, logIn, type PasswordAccess } from "../auth/authenticators.ts";
import { signOwnToken } from "../auth/jwt.ts";
import { parseRepositoryName } from "../names.ts";
import { SpecError } from "../spec-error.ts";
import { type Call, type Route, sendJson } from "./route.ts";

const lifetimeSeconds = 300;
const maxScopes = 100;

export interface TokenIssuer extends PasswordAccess {
  readonly service: string;
  readonly secret: Uint8Array;
  readonly clock: Clock;
}

/** Tokens for names and passwords (distribution, "Token authentication specification"); GET as docker asks, POST as OAuth2 clients do. */
export function tokenRoutes(issuer: TokenIssuer): readonly Route[] {
  const base = { pattern: "/token", name: "token", action: undefined, identifies: false } as const;
  return [
    {
      ...base,
      method: "GET",
      run: async (call) => {
        const credentials = basicCredentials(call.exchange);
        const identity = credentials
          ? await logIn(issuer, credentials)
          : identityOf(issuer.rights, undefined);
        issue(issuer, call, identity, call.query.getAll("scope"));
      },
    },
    {
      ...base,
      method: "POST",
      run: async (call) => {
        const form = new URLSearchParams(
          Buffer.from(await call.exchange.body.bytes(64 * 1024)).toString("utf8"),
        );
        if (form.get("grant_type") !== "password") {
          throw new SpecError("UNSUPPORTED", 'only the grant type "password" is supported', undefined, {
            status: 400,
          });
        }
        const credentials = { user: form.get("username") ?? "", password: form.get("password") ?? "" };
        issue(issuer, call, await logIn(issuer, credentials), (form.get("scope") ?? "").split(" "));
      },
    },
  ];
}

function issue(issuer: TokenIssuer, call: Call, identity: Identity, scopes: readonly string[]): void {
  const now = Math.floor(issuer.clock.now() / 1000);
  const access = scopes
    .flatMap((scope) => scope.split(" "))
    .slice(0, maxScopes)
    .flatMap((scope) => granted(identity, scope));
  const { service } = issuer;
  const claims = {
    iss: service,
    aud: service,
    sub: identity.name ?? "",
    iat: now,
    nbf: now,
    exp: now + lifetimeSeconds,
    access,
  };
  const token = signOwnToken(claims, issuer.secret);
  const issued = {
    token,
    access_token: token,
    expires_in: lifetimeSeconds,
    issued_at: new Date(now * 1000).toISOString(),
  };
  sendJson(call, 200, issued, { "Cache-Control": "no-store" });
}

/** What of "repository:name:actions" the person has; less than was asked for is no failure here. */
function granted(identity: Identity, scope: string): readonly object[] {
  const match = /^repository:([^:]+):([a-z,*]+)$/.exec(scope);
  if (!match)
    return scope === "registry:catalog:*" ? [{ type: "registry", name: "catalog", actions: ["*"] }] : [];
  const name = parseRepositoryName(match[1] ?? "");
  const all: readonly Action[] = ["pull", "push", "delete"];
  const wanted = (match[2] ?? "").split(",");
  const actions = all.filter(
    (action) => (wanted.includes(action) || wanted.includes("*")) && identity.may(action, name),
  );
  return actions.length === 0 ? [] : [{ type: "repository", name, actions }];
}
