import type { RepositoryName } from "../names.ts";
import type { Action, Identity } from "./access.ts";
import type { Claims } from "./jwt.ts";

/** Seconds two clocks may differ. */
const leeway = 60;

/** What is wrong with a token whose signature is right, or undefined (RFC 7519, 4.1). */
export function claimsProblem(
  claims: Claims,
  expected: { readonly issuer: string; readonly service: string; readonly nowMs: number },
): string | undefined {
  const now = expected.nowMs / 1000;
  const { iss, aud, exp, nbf } = claims;
  if (iss !== expected.issuer) return "the token is from another issuer";
  const audience: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audience.includes(expected.service)) return "the token is for another service";
  if (typeof exp !== "number" || exp + leeway < now) return "the token has expired";
  if (nbf !== undefined && (typeof nbf !== "number" || nbf - leeway > now))
    return "the token is not valid yet";
  return undefined;
}

/** Rights as the "access" claim lists them (distribution, "Token authentication implementation"). */
export function claimedIdentity(claims: Claims): Identity {
  const granted = new Map<string, Set<string>>();
  const access: readonly unknown[] = Array.isArray(claims["access"]) ? claims["access"] : [];
  for (const each of access) {
    if (typeof each !== "object" || each === null) continue;
    const { type, name, actions } = each as Record<string, unknown>;
    if (typeof type !== "string" || typeof name !== "string" || !Array.isArray(actions)) continue;
    const key = `${type}:${name}`;
    const all = granted.get(key) ?? new Set<string>();
    for (const action of actions) if (typeof action === "string") all.add(action);
    granted.set(key, all);
  }
  const has = (key: string, action: string) => {
    const actions = granted.get(key);
    return actions !== undefined && (actions.has(action) || actions.has("*"));
  };
  const mayList = has("registry:catalog", "*");
  const may = (action: Action, repository: RepositoryName) => has(`repository:${repository}`, action);
  return {
    name: typeof claims["sub"] === "string" && claims["sub"] !== "" ? claims["sub"] : undefined,
    proven: true,
    mayList,
    may,
    sees: (repository) => mayList || may("pull", repository),
  };
}
