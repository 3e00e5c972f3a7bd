import type { RepositoryName } from "../names.ts";
import type { Action } from "./access.ts";
import { matches, type RepositoryPattern } from "./pattern.ts";

/** Grants actions on repositories to people. Nothing is allowed that no rule allows. */
export interface AccessRule {
  readonly users: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  /** Everybody who has logged in. */
  readonly authenticated: boolean;
  /** Everybody. */
  readonly anonymous: boolean;
  readonly repositories: readonly RepositoryPattern[];
  readonly actions: ReadonlySet<Action>;
}

export interface Rights {
  readonly rules: readonly AccessRule[];
  /** Members by group. */
  readonly groups: ReadonlyMap<string, ReadonlySet<string>>;
}

/** True when a rule lets `user` (undefined: anonymous) do it. Whoever may push or delete may also pull, or no client could. */
export function allows(
  rights: Rights,
  user: string | undefined,
  action: Action,
  repository: RepositoryName,
): boolean {
  return rights.rules.some(
    (rule) =>
      (rule.actions.has(action) || (action === "pull" && rule.actions.size > 0)) &&
      concerns(rights, rule, user) &&
      rule.repositories.some((pattern) => matches(pattern, repository)),
  );
}

function concerns(rights: Rights, rule: AccessRule, user: string | undefined): boolean {
  if (rule.anonymous) return true;
  if (user === undefined) return false;
  if (rule.authenticated || rule.users.has(user)) return true;
  for (const group of rule.groups) if (rights.groups.get(group)?.has(user)) return true;
  return false;
}
