import { invalid } from "../../base/lib/errors.ts";
import type { Action } from "../../registry/auth/access.ts";
import { parsePattern } from "../../registry/auth/pattern.ts";
import type { AccessRule, Rights } from "../../registry/auth/rights.ts";
import type { Section } from "./section.ts";

const actions: readonly Action[] = ["pull", "push", "delete"];

/** Groups and access rules of the configuration. */
export function rightsOf(from: Section, anonymousPull: boolean): Rights {
  const groups = from.section("groups");
  const members = new Map(groups.names().map((name) => [name, new Set(groups.texts(name))] as const));
  const given = from.sections("access").map((each) => ruleOf(each, members));
  const everything = [parsePattern("**")];
  const rule = (more: Partial<AccessRule>): AccessRule => ({
    users: new Set(),
    groups: new Set(),
    authenticated: false,
    anonymous: false,
    repositories: everything,
    actions: new Set(actions),
    ...more,
  });
  // Without rules whoever has logged in may do everything, as with any registry that has a password file.
  const rules = given.length > 0 ? [...given] : [rule({ authenticated: true })];
  if (anonymousPull) rules.push(rule({ anonymous: true, actions: new Set(["pull"]) }));
  return { rules, groups: members };
}

function ruleOf(from: Section, groups: ReadonlyMap<string, unknown>): AccessRule {
  const wanted = from.texts("actions");
  const wrong = wanted.find((each) => !actions.some((action) => action === each));
  if (wrong !== undefined || wanted.length === 0) {
    throw invalid(`${from.at("actions")}: expected some of ${actions.join(", ")}`);
  }
  const named = from.texts("groups");
  const unknown = named.find((each) => !groups.has(each));
  if (unknown !== undefined) throw invalid(`${from.at("groups")}: there is no group ${unknown}`);
  const patterns = from.texts("repositories");
  const rule: AccessRule = {
    users: new Set(from.texts("users")),
    groups: new Set(named),
    authenticated: from.flag("authenticated", false),
    anonymous: from.flag("anonymous", false),
    repositories: (patterns.length === 0 ? ["**"] : patterns).map(parsePattern),
    actions: new Set(actions.filter((each) => wanted.includes(each))),
  };
  from.end();
  if (rule.users.size + rule.groups.size === 0 && !rule.authenticated && !rule.anonymous) {
    throw invalid(
      `${from.at("users")}: the rule is for nobody: name users or groups, or set authenticated or anonymous`,
    );
  }
  return rule;
}
